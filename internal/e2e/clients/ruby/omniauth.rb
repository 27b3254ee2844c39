# An application on WEBrick whose users log in with OmniAuth: with a strategy of its own
# on omniauth-oauth2, which does PKCE; the strategy asks userinfo who the user is. It
# refreshes whenever its page is asked for.
require 'json'
require 'net/http'
require 'omniauth-oauth2'
require 'rack'
require 'rack/protection'

METADATA = JSON.parse(Net::HTTP.get(URI("#{ENV.fetch('ISSUER')}/.well-known/openid-configuration")))

module OmniAuth
  module Strategies
    # What omniauth-oauth2 wants to know of an issuer.
    class Keyturn < OAuth2
      option :name, 'keyturn'
      option :pkce, true
      option :scope, 'openid email profile'
      option :client_options, {
        authorize_url: METADATA['authorization_endpoint'], token_url: METADATA['token_endpoint'], auth_scheme: :basic_auth
      }
      uid { who['sub'] }
      info { { email: who['email'], name: who['name'] } }

      def who
        @who ||= access_token.get(METADATA['userinfo_endpoint']).parsed
      end

      # Without the query of the answer, which is not registered.
      def callback_url
        ENV.fetch('CALLBACK')
      end
    end
  end
end

# The page, and what comes after a log-in.
class Pages
  USERS = {}

  def call(env)
    request = Rack::Request.new(env)
    case request.path
    when '/bye' then [200, {}, []]
    when '/auth/keyturn/callback' then signed_in(env, request)
    when '/logout' then logout(request)
    else home(request)
    end
  end

  def signed_in(env, request)
    request.session['user'] = SecureRandom.hex
    USERS[request.session['user']] = { email: env['omniauth.auth'].info.email, tokens: env['omniauth.strategy'].access_token }
    lead('/')
  end

  def home(request)
    user = USERS[request.session['user']]
    return sign_in(request) unless user

    begin
      user[:tokens] = user[:tokens].refresh!
    rescue OAuth2::Error
      return sign_in(request)
    end
    return [403, {}, ["who is #{user[:email]}?"]] unless user[:email] == ENV.fetch('EMAIL')

    [200, { 'Content-Type' => 'text/plain' }, ['welcome']]
  end

  def sign_in(request)
    token = Rack::Protection::AuthenticityToken.token(request.session)
    [200, { 'Content-Type' => 'text/html' },
     [%(<form method="post" action="/auth/keyturn"><input type="hidden" name="authenticity_token" value="#{token}"><button>Log in</button></form>)]]
  end

  def logout(request)
    user = USERS.delete(request.session.delete('user'))
    lead(METADATA['end_session_endpoint'] + '?' + URI.encode_www_form(
      id_token_hint: user[:tokens].params['id_token'], post_logout_redirect_uri: "#{ENV.fetch('URL')}/bye"
    ))
  end

  def lead(to)
    [303, { 'Location' => to }, []]
  end
end

OmniAuth.config.logger = Logger.new($stderr, level: Logger::WARN)
application = Rack::Builder.new do
  use Rack::Session::Cookie, key: 'omniauth', secret: ENV.fetch('CLIENT_SECRET')
  use OmniAuth::Strategies::Keyturn, ENV.fetch('CLIENT_ID'), ENV.fetch('CLIENT_SECRET')
  run Pages.new
end
host, port = ENV.fetch('LISTEN').split(':')
Rack::Handler::WEBrick.run(application.to_app, Host: host, Port: Integer(port), AccessLog: [], Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN))
