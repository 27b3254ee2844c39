# Resource servers on WEBrick that accept the access tokens of one issuer: with
# json-jwt, and with jose, the command, which looks at the signature alone. Neither
# keeps a key set: that is done here, for five minutes, and again for a key that is
# not there.
require 'json'
require 'json/jwt'
require 'net/http'
require 'open3'
require 'tempfile'
require 'webrick'

ISSUER = ENV.fetch('ISSUER')
AUDIENCE = ENV.fetch('AUDIENCE')
ALGS = ENV.fetch('ALGS').split
JWKS = URI("#{ISSUER}/.well-known/jwks.json")

class Refused < StandardError; end

# The key set as it was fetched last.
class KeySet
  def fetch
    @keys = JSON.parse(Net::HTTP.get(JWKS))['keys']
    @fetched = Time.now
  end

  def find(kid)
    fetch if @keys.nil? || Time.now - @fetched > 300
    known = -> { @keys.find { |key| key['kid'] == kid } }
    known.call || (fetch && known.call) || raise(Refused, 'no such key')
  end
end

def header_of(token)
  header = JSON.parse(Base64.urlsafe_decode64(token.split('.').first))
  raise Refused, 'the algorithm or the type' unless ALGS.include?(header['alg']) && header['typ'] == 'at+jwt'

  header
end

def for_us(claims)
  raise Refused, 'for somebody else' unless claims['iss'] == ISSUER && [claims['aud']].flatten.include?(AUDIENCE)
  raise Refused, 'bound to a key' if claims.key?('cnf')
  raise Refused, 'expired' unless claims['exp'].is_a?(Integer) && Time.now.to_i < claims['exp']
end

json_jwt_keys = KeySet.new
json_jwt = lambda do |token|
  key = JSON::JWK.new(json_jwt_keys.find(header_of(token)['kid']))
  for_us(JSON::JWT.decode(token, key, ALGS.map(&:to_sym)))
end

command_keys = KeySet.new
command = lambda do |token|
  key = command_keys.find(header_of(token)['kid'])
  Tempfile.create('key') do |file|
    file.write(JSON.generate(key))
    file.close
    payload, status = Open3.capture2('jose', 'jws', 'ver', '-i', '-', '-k', file.path, '-O', '-', stdin_data: token)
    raise Refused, 'the signature' unless status.success?

    for_us(JSON.parse(payload))
  end
end

host, port = ENV.fetch('LISTEN').split(':')
server = WEBrick::HTTPServer.new(
  BindAddress: host, Port: Integer(port), AccessLog: [], Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN)
)
{ '/json-jwt' => json_jwt, '/jose-command' => command }.each do |path, check|
  server.mount_proc path do |request, response|
    check.call(request['Authorization'].to_s.delete_prefix('Bearer '))
    response.body = 'welcome'
  rescue StandardError => e
    response.status = 401
    response.body = "#{e.class}: #{e.message}"
  end
end
trap('INT') { server.shutdown }
trap('TERM') { server.shutdown }
server.start
