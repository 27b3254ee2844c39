import com.auth0.jwk.Jwk;
import com.auth0.jwk.JwkProvider;
import com.auth0.jwk.JwkProviderBuilder;
import com.auth0.jwt.JWT;
import com.auth0.jwt.algorithms.Algorithm;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.sun.net.httpserver.HttpServer;
import io.smallrye.jwt.auth.principal.DefaultJWTParser;
import io.smallrye.jwt.auth.principal.JWTAuthContextInfo;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URL;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jose4j.jwa.AlgorithmConstraints;
import org.jose4j.jwk.HttpsJwks;
import org.jose4j.jwt.consumer.JwtConsumer;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.jwt.consumer.JwtContext;
import org.jose4j.keys.resolvers.HttpsJwksVerificationKeyResolver;
import org.springframework.security.authentication.ProviderManager;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidatorResult;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.DPoPAuthenticationProvider;
import org.springframework.security.oauth2.server.resource.authentication.DPoPAuthenticationToken;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationProvider;

/** Resource servers that accept the access tokens of one issuer, each with another library. */
public class Resource {
    static final String ISSUER = System.getenv("ISSUER"), AUDIENCE = System.getenv("AUDIENCE");
    static final List<String> ALGS = List.of(System.getenv("ALGS").split(" "));

    /** Throws where a token is not accepted. */
    interface Check {
        void accept(String token) throws Exception;
    }

    /** Throws where a token that is bound to a key is not accepted with a proof. */
    interface ProofCheck {
        void accept(String token, String proof, String method, String url) throws Exception;
    }

    static URL keySet() throws Exception {
        return URI.create(ISSUER + "/.well-known/jwks.json").toURL();
    }

    /** Its processor takes no at+jwt unless told. */
    static Check nimbus() throws Exception {
        var keys = JWKSourceBuilder.create(keySet()).build();
        Set<JWSAlgorithm> algs = ALGS.stream().map(JWSAlgorithm::parse).collect(Collectors.toSet());
        var processor = new DefaultJWTProcessor<SecurityContext>();
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(algs, keys));
        processor.setJWTClaimsSetVerifier(new DefaultJWTClaimsVerifier<>(
            Set.of(AUDIENCE), new JWTClaimsSet.Builder().issuer(ISSUER).build(), Set.of("sub", "exp", "client_id"), Set.of("cnf")));
        return token -> processor.process(token, null);
    }

    static Check jose4j() {
        JwtConsumer consumer = new JwtConsumerBuilder()
            .setVerificationKeyResolver(new HttpsJwksVerificationKeyResolver(new HttpsJwks(ISSUER + "/.well-known/jwks.json")))
            .setJwsAlgorithmConstraints(AlgorithmConstraints.ConstraintType.PERMIT, ALGS.toArray(new String[0]))
            .setExpectedIssuer(ISSUER).setExpectedAudience(AUDIENCE).setExpectedType(true, "at+jwt")
            .setRequireExpirationTime().setRequireSubject()
            .registerValidator((JwtContext context) -> context.getJwtClaims().hasClaim("cnf") ? "bound to a key" : null).build();
        return consumer::processToClaims;
    }

    /** java-jwt leaves the keys to the program; jwks-rsa keeps each. */
    static Check auth0() throws Exception {
        JwkProvider keys = new JwkProviderBuilder(keySet()).build();
        return token -> {
            var unverified = JWT.decode(token);
            Jwk key = keys.get(unverified.getKeyId());
            Algorithm alg = switch (unverified.getAlgorithm()) {
                case "ES256" -> Algorithm.ECDSA256((ECPublicKey) key.getPublicKey(), null);
                case "RS256" -> Algorithm.RSA256((RSAPublicKey) key.getPublicKey(), null);
                default -> throw new IllegalArgumentException("the algorithm");
            };
            var verified = JWT.require(alg).withIssuer(ISSUER).withAudience(AUDIENCE).build().verify(unverified);
            if (!"at+jwt".equals(verified.getType()) || !verified.getClaim("cnf").isMissing()) {
                throw new IllegalArgumentException("no access token, or bound to a key");
            }
        };
    }

    /**
     * What issuer-uri makes of Spring Boot's resource server, with the validators of RFC 9068. Unless told, it
     * takes the algorithms of the keys that are published when it starts.
     */
    static Check spring() {
        var bound = OAuth2TokenValidatorResult.failure(new OAuth2Error("invalid_token", "bound to a key", null));
        return springDecoder(validators -> validators.put("cnf", jwt -> jwt.hasClaim("cnf") ? bound : OAuth2TokenValidatorResult.success()))::decode;
    }

    static NimbusJwtDecoder springDecoder(Consumer<Map<String, OAuth2TokenValidator<Jwt>>> more) {
        NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(ISSUER)
            .jwsAlgorithms(algs -> ALGS.forEach(alg -> algs.add(SignatureAlgorithm.from(alg)))).build();
        decoder.setJwtValidator(JwtValidators.createAtJwtValidator().issuer(ISSUER).audience(AUDIENCE).validators(more).build());
        return decoder;
    }

    /** What Quarkus verifies tokens with. */
    static Check smallrye() {
        var config = new JWTAuthContextInfo(ISSUER + "/.well-known/jwks.json", ISSUER);
        config.setSignatureAlgorithm(ALGS.stream().map(io.smallrye.jwt.algorithm.SignatureAlgorithm::fromAlgorithm).collect(Collectors.toSet()));
        config.setExpectedAudience(Set.of(AUDIENCE));
        config.setTlsCertificatePath(System.getenv("CA_FILE"));
        config.setRequiredClaims(Set.of("client_id")); // It shows no typ: ID tokens have none.
        var parser = new DefaultJWTParser(config);
        return token -> {
            if (parser.parse(token).containsClaim("cnf")) {
                throw new IllegalArgumentException("bound to a key");
            }
        };
    }

    /** What Spring Security does with the scheme DPoP. */
    static ProofCheck springDPoP() {
        var provider = new DPoPAuthenticationProvider(new ProviderManager(new JwtAuthenticationProvider(springDecoder(validators -> { }))));
        return (token, proof, method, url) -> provider.authenticate(new DPoPAuthenticationToken(token, proof, method, url));
    }

    public static void main(String[] args) throws Exception {
        Trust.only(System.getenv("CA_FILE"));
        Map<String, Check> checks = new TreeMap<>(Map.of(
            "/nimbus", nimbus(), "/jose4j", jose4j(), "/java-jwt", auth0(), "/spring", spring(), "/smallrye", smallrye()));
        ProofCheck proven = springDPoP();
        String[] at = System.getenv("LISTEN").split(":");
        HttpServer server = HttpServer.create(new InetSocketAddress(at[0], Integer.parseInt(at[1])), 0);
        server.createContext("/", exchange -> {
            String said = exchange.getRequestHeaders().getFirst("Authorization");
            Check check = checks.get(exchange.getRequestURI().getPath());
            int status = 401;
            String answer = "no token";
            if (said != null && said.startsWith("Bearer ") && check != null) {
                try {
                    check.accept(said.substring(7));
                    status = 200;
                    answer = "welcome";
                } catch (Exception e) {
                    answer = String.valueOf(e);
                }
            }
            String path = exchange.getRequestURI().getPath();
            if (said != null && said.startsWith("DPoP ") && path.equals("/spring-dpop")) {
                try {
                    List<String> proofs = exchange.getRequestHeaders().getOrDefault("DPoP", List.of());
                    if (proofs.size() != 1) {
                        throw new IllegalArgumentException(proofs.size() + " proofs");
                    }
                    proven.accept(said.substring(5), proofs.get(0),
                        exchange.getRequestMethod(), "http://" + System.getenv("LISTEN") + path);
                    status = 200;
                    answer = "welcome";
                } catch (Exception e) {
                    answer = String.valueOf(e);
                }
            }
            byte[] text = answer.getBytes();
            exchange.sendResponseHeaders(status, text.length);
            exchange.getResponseBody().write(text);
            exchange.close();
        });
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
