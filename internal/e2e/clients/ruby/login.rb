# An application on WEBrick whose users log in with openid_connect. It refreshes
# whenever its page is asked for, but for /?still, and fetches the key set for a key that it does not have.
require 'openid_connect'
require 'securerandom'
require 'webrick'

ISSUER = ENV.fetch('ISSUER')
BASE = ENV.fetch('URL')
trust = ->(http) { http.ssl_config.set_trust_ca(ENV.fetch('CA_FILE')) }
[OpenIDConnect, SWD, Rack::OAuth2].each { |library| library.http_config(&trust) }

def discover
  OpenIDConnect::Discovery::Provider::Config.discover!(ISSUER)
end

PROVIDER = discover
@keys = PROVIDER.jwks

def decode(token)
  JSON::JWT.decode(token, @keys, PROVIDER.id_token_signing_alg_values_supported.map(&:to_sym))
rescue JSON::JWK::Set::KidNotFound
  @keys = discover.jwks
  JSON::JWT.decode(token, @keys, PROVIDER.id_token_signing_alg_values_supported.map(&:to_sym))
end

def client
  OpenIDConnect::Client.new(
    identifier: ENV.fetch('CLIENT_ID'), secret: ENV.fetch('CLIENT_SECRET'), redirect_uri: ENV.fetch('CALLBACK'),
    authorization_endpoint: PROVIDER.authorization_endpoint, token_endpoint: PROVIDER.token_endpoint,
    userinfo_endpoint: PROVIDER.userinfo_endpoint
  )
end

# What is kept of a user after an answer of the token endpoint.
def signed_in(tokens, nonce = nil)
  id = OpenIDConnect::ResponseObject::IdToken.new(decode(tokens.id_token))
  id.verify!(issuer: ISSUER, client_id: ENV.fetch('CLIENT_ID'), nonce: nonce)
  { tokens: tokens, sid: id.sid, email: tokens.userinfo!.email }
end

@users = {}

def cookie_of(request)
  request.cookies.find { |cookie| cookie.name == 'app' }&.value
end

def keep(response, value)
  id = SecureRandom.hex
  @users[id] = value
  cookie = WEBrick::Cookie.new('app', id)
  cookie.path = '/'
  response.cookies << cookie
end

def lead(response, to)
  response.status = 303
  response['Location'] = to
end

def begin_at(response)
  verifier = SecureRandom.urlsafe_base64(32)
  state = SecureRandom.hex
  nonce = SecureRandom.hex
  keep(response, { verifier: verifier, state: state, nonce: nonce })
  challenge = Base64.urlsafe_encode64(OpenSSL::Digest::SHA256.digest(verifier), padding: false)
  lead(response, client.authorization_uri(
    scope: %i[openid email profile], state: state, nonce: nonce, code_challenge: challenge, code_challenge_method: 'S256'
  ))
end

def callback(request, response)
  checks = @users.delete(cookie_of(request))
  raise 'another answer' unless request.query['state'] == checks[:state] && request.query['iss'] == ISSUER

  at = client
  at.authorization_code = request.query['code']
  keep(response, signed_in(at.access_token!(code_verifier: checks[:verifier]), checks[:nonce]))
  lead(response, '/')
end

def home(request, response)
  user = @users[cookie_of(request)]
  return begin_at(response) unless user&.key?(:tokens)
  return response.body = 'welcome' if request.query_string == 'still'

  at = client
  at.refresh_token = user[:tokens].refresh_token
  begin
    user.replace(signed_in(at.access_token!))
  rescue Rack::OAuth2::Client::Error
    return begin_at(response)
  end
  raise "who is #{user[:email]}?" unless user[:email] == ENV.fetch('EMAIL')

  response.body = 'welcome'
end

def logout(request, response)
  user = @users.delete(cookie_of(request))
  lead(response, PROVIDER.end_session_endpoint + '?' + URI.encode_www_form(
    id_token_hint: user[:tokens].id_token, post_logout_redirect_uri: "#{BASE}/bye"
  ))
end

def ended(request, _)
  claims = decode(request.query['logout_token'])
  raise 'no logout token' unless claims[:iss] == ISSUER && claims[:aud] == ENV.fetch('CLIENT_ID') && claims[:exp] > Time.now.to_i &&
                                 claims[:nonce].nil? && claims[:events].key?('http://schemas.openid.net/event/backchannel-logout')

  @users.delete_if { |_, user| user[:sid] == claims[:sid] }
end

host, port = ENV.fetch('LISTEN').split(':')
server = WEBrick::HTTPServer.new(
  BindAddress: host, Port: Integer(port), AccessLog: [], Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN)
)
ORDER = Mutex.new
{ '/' => :home, '/callback' => :callback, '/logout' => :logout, '/ended' => :ended }.each do |path, step|
  server.mount_proc path do |request, response|
    response['Content-Type'] = 'text/plain'
    next if request.path == '/bye'

    ORDER.synchronize { send(step, request, response) }
  end
end
trap('INT') { server.shutdown }
trap('TERM') { server.shutdown }
server.start
