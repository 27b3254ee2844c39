import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jwt.SignedJWT;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.ECPublicKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.InMemoryOAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.OAuth2AuthorizeRequest;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientProviderBuilder;
import org.springframework.security.oauth2.client.endpoint.NimbusJwtClientAuthenticationParametersConverter;
import org.springframework.security.oauth2.client.endpoint.OAuth2ClientCredentialsGrantRequest;
import org.springframework.security.oauth2.client.endpoint.OAuth2RefreshTokenGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.RestClientRefreshTokenTokenResponseClient;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.client.registration.InMemoryClientRegistrationRepository;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.core.OAuth2AuthorizationException;
import org.springframework.security.oauth2.core.OAuth2RefreshToken;
import org.springframework.security.oauth2.core.endpoint.OAuth2AccessTokenResponse;
import org.springframework.util.LinkedMultiValueMap;
import org.springframework.web.client.ResourceAccessException;

/**
 * Uses a Keyturn server with Spring Security's OAuth2 client, without Boot, from the issuer's URL alone. The first
 * answer to each refresh is lost on the way. Reads what to do from standard input and prints the tokens that it
 * got. The library has no password grant any more, so the program logs in itself; nor revocation.
 */
public class Client {
    static final ObjectMapper JSON = new ObjectMapper();
    static JsonNode ask;
    static int lost = 0;

    static String asked(String name) {
        return ask.path(name).asText();
    }

    /** What a request got, by hand. */
    static JsonNode post(String url, String form) throws Exception {
        String basic = Base64.getEncoder().encodeToString((asked("client_id") + ":" + asked("client_secret")).getBytes());
        var request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Basic " + basic)
            .header("Content-Type", "application/x-www-form-urlencoded").POST(HttpRequest.BodyPublishers.ofString(form)).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(answer.body());
        }
        return JSON.readTree(answer.body());
    }

    static String escaped(String name) {
        return URLEncoder.encode(asked(name), StandardCharsets.UTF_8);
    }

    static ClientRegistration registration(String id, AuthorizationGrantType grant, ClientAuthenticationMethod method) {
        return ClientRegistrations.fromIssuerLocation(asked("issuer")).registrationId(id + grant.getValue()).clientId(id)
            .clientSecret(asked("client_secret")).clientAuthenticationMethod(method).authorizationGrantType(grant).scope(List.of()).build();
    }

    /** The token that an application gets in its own name, from the manager that it would have as a bean. */
    static String own(ClientRegistration by, RestClientClientCredentialsTokenResponseClient tokens, String resource) {
        tokens.addParametersConverter(grant -> new LinkedMultiValueMap<>(Map.of("resource", List.of(resource))));
        var all = new InMemoryClientRegistrationRepository(by);
        var manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(all, new InMemoryOAuth2AuthorizedClientService(all));
        manager.setAuthorizedClientProvider(
            OAuth2AuthorizedClientProviderBuilder.builder().clientCredentials(c -> c.accessTokenResponseClient(tokens)).build());
        var request = OAuth2AuthorizeRequest.withClientRegistrationId(by.getRegistrationId()).principal(by.getClientId()).build();
        return manager.authorize(request).getAccessToken().getTokenValue();
    }

    static ECKey signs() throws Exception {
        String pem = ask.path("private_keys").path("ES256").asText();
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        var key = (ECPrivateKey) KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
        // The converter wants the whole of a key, though it signs with the private part alone.
        var any = KeyPairGenerator.getInstance("EC");
        any.initialize(256);
        return new ECKey.Builder(Curve.P_256, (ECPublicKey) any.generateKeyPair().getPublic()).privateKey(key).keyID("ES256").build();
    }

    static OAuth2AccessTokenResponse refresh(ClientRegistration by, OAuth2AccessToken access, OAuth2RefreshToken token) {
        var request = new OAuth2RefreshTokenGrantRequest(by, access, token);
        var client = new RestClientRefreshTokenTokenResponseClient();
        try {
            return client.getTokenResponse(request);
        } catch (OAuth2AuthorizationException e) {
            if (!(e.getCause() instanceof ResourceAccessException)) {
                throw e;
            }
            lost++;
            return client.getTokenResponse(request);
        }
    }

    public static void main(String[] args) throws Exception {
        Trust.only(System.getenv("SSL_CERT_FILE"));
        ask = JSON.readTree(System.in);
        var basic = ClientAuthenticationMethod.CLIENT_SECRET_BASIC;
        var by = registration(asked("client_id"), AuthorizationGrantType.CLIENT_CREDENTIALS, basic);
        String endpoint = by.getProviderDetails().getTokenUri();
        ObjectNode tokens = JSON.createObjectNode(), told = JSON.createObjectNode();
        var login = post(endpoint, "grant_type=password&username=" + escaped("username") + "&password=" + escaped("password"));
        tokens.set("password", login.get("access_token"));

        var access = new OAuth2AccessToken(OAuth2AccessToken.TokenType.BEARER, login.get("access_token").asText(), Instant.now(), Instant.now().plusSeconds(1));
        var token = new OAuth2RefreshToken(login.get("refresh_token").asText(), Instant.now());
        int refreshes = 0;
        for (; refreshes < 3; refreshes++) {
            var answer = refresh(by, access, token);
            if (answer.getRefreshToken().getTokenValue().equals(token.getTokenValue())) {
                throw new IllegalStateException("the refresh token did not change");
            }
            access = answer.getAccessToken();
            token = answer.getRefreshToken();
        }
        tokens.put("refresh_token", access.getTokenValue());

        // One of its audiences, by name; another is refused, also by name.
        tokens.put("client_credentials", own(by, new RestClientClientCredentialsTokenResponseClient(), asked("audience")));
        try {
            own(by, new RestClientClientCredentialsTokenResponseClient(), asked("resource"));
            throw new IllegalStateException("a foreign resource was not refused");
        } catch (OAuth2AuthorizationException e) {
            if (!e.getError().getErrorCode().equals("invalid_target")) {
                throw e;
            }
        }

        var keyed = registration(asked("keyed_id"), AuthorizationGrantType.CLIENT_CREDENTIALS, ClientAuthenticationMethod.PRIVATE_KEY_JWT);
        var signing = new RestClientClientCredentialsTokenResponseClient();
        ECKey key = signs();
        var assertion = new NimbusJwtClientAuthenticationParametersConverter<OAuth2ClientCredentialsGrantRequest>(registration -> key);
        assertion.setJwtClientAssertionCustomizer(made -> made.getClaims().audience(List.of(asked("issuer"))));
        signing.addParametersConverter(assertion);
        told.set("keyed", JSON.valueToTree(SignedJWT.parse(own(keyed, signing, asked("resource"))).getPayload().toJSONObject()));

        post(JSON.readTree(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(asked("issuer") + "/.well-known/oauth-authorization-server")).build(),
            HttpResponse.BodyHandlers.ofString()).body()).get("revocation_endpoint").asText(), "token=" + token.getTokenValue());
        try {
            refresh(by, access, token);
            told.put("refused", "nothing");
        } catch (OAuth2AuthorizationException e) {
            told.put("refused", e.getError().getErrorCode());
        }
        told.put("refreshes", refreshes).put("lost", lost).set("tokens", tokens);
        told.set("did", JSON.valueToTree(List.of("refresh_token", "client_credentials", "private_key_jwt", "resource")));
        System.out.println(told);
    }
}
