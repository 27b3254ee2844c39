# A resource server on WEBrick that accepts the access tokens of one issuer with
# ruby-jwt. The gem asks the loader again, with :kid_not_found, for a key that
# is not there.
require 'json'
require 'jwt'
require 'net/http'
require 'webrick'

ISSUER = ENV.fetch('ISSUER')
LIFE = Integer(ENV.fetch('CACHE_SECONDS', '300'))
JWKS = URI("#{ISSUER}/.well-known/jwks.json")

@keys = nil
@fetched = Time.at(0)
LOADER = lambda do |options|
  if @keys.nil? || options[:kid_not_found] || Time.now - @fetched > LIFE
    @keys = JSON.parse(Net::HTTP.get(JWKS), symbolize_names: true)
    @fetched = Time.now
  end
  @keys
end

host, port = ENV.fetch('LISTEN').split(':')
server = WEBrick::HTTPServer.new(
  BindAddress: host, Port: Integer(port), AccessLog: [], Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN)
)
server.mount_proc '/ruby-jwt' do |request, response|
  token = request['Authorization'].to_s.delete_prefix('Bearer ')
  begin
    claims, header = JWT.decode(
      token, nil, true,
      algorithms: ENV.fetch('ALGS').split, jwks: LOADER,
      iss: ISSUER, verify_iss: true, aud: ENV.fetch('AUDIENCE'), verify_aud: true, leeway: 30
    )
    raise JWT::DecodeError, 'no access token, or bound to a key' if header['typ'] != 'at+jwt' || claims.key?('cnf')

    response.body = claims['sub']
  rescue JWT::DecodeError => e
    response.status = 401
    response.body = e.message
  end
end
trap('INT') { server.shutdown }
trap('TERM') { server.shutdown }
server.start
