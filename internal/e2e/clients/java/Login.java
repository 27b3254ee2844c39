import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.EnumSet;
import org.apache.catalina.startup.Tomcat;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configuration.EnableWebSecurity;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.client.OAuth2AuthorizeRequest;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientProviderBuilder;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.client.registration.InMemoryClientRegistrationRepository;
import org.springframework.security.oauth2.client.web.DefaultOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.web.HttpSessionOAuth2AuthorizedClientRepository;
import org.springframework.security.oauth2.client.web.OAuth2AuthorizedClientRepository;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.filter.DelegatingFilterProxy;

/**
 * An application whose users Spring Security logs in (oauth2Login), in Tomcat, without Boot, from the issuer's URL
 * alone. It refreshes whenever its page is asked for, but for /?still.
 */
public class Login {
    @Configuration
    @EnableWebSecurity
    static class Security {
        @Bean
        ClientRegistrationRepository registrations() {
            return new InMemoryClientRegistrationRepository(ClientRegistrations.fromIssuerLocation(System.getenv("ISSUER")).registrationId("keyturn")
                .clientId(System.getenv("CLIENT_ID")).clientSecret(System.getenv("CLIENT_SECRET")).scope("openid", "email", "profile").build());
        }

        @Bean
        OAuth2AuthorizedClientRepository kept() {
            return new HttpSessionOAuth2AuthorizedClientRepository();
        }

        @Bean
        OAuth2AuthorizedClientManager manager(ClientRegistrationRepository all, OAuth2AuthorizedClientRepository kept) {
            var manager = new DefaultOAuth2AuthorizedClientManager(all, kept);
            manager.setAuthorizedClientProvider(
                OAuth2AuthorizedClientProviderBuilder.builder().authorizationCode().refreshToken(r -> r.clockSkew(Duration.ofDays(1))).build());
            return manager;
        }

        @Bean
        SecurityFilterChain chain(HttpSecurity http, ClientRegistrationRepository all) throws Exception {
            var ends = new OidcClientInitiatedLogoutSuccessHandler(all);
            ends.setPostLogoutRedirectUri("{baseUrl}/bye");
            return http.authorizeHttpRequests(a -> a.requestMatchers("/bye").permitAll().anyRequest().authenticated())
                .oauth2Login(Customizer.withDefaults()).oidcLogout(o -> o.backChannel(Customizer.withDefaults()))
                .logout(l -> l.logoutSuccessHandler(ends)).build();
        }
    }

    static class Home extends HttpServlet {
        final transient OAuth2AuthorizedClientManager manager;

        Home(OAuth2AuthorizedClientManager manager) {
            this.manager = manager;
        }

        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            if (!request.getRequestURI().equals("/")) {
                return;
            }
            var by = SecurityContextHolder.getContext().getAuthentication();
            if (!"still".equals(request.getQueryString())) {
                manager.authorize(OAuth2AuthorizeRequest.withClientRegistrationId("keyturn").principal(by)
                    .attribute(HttpServletRequest.class.getName(), request).attribute(HttpServletResponse.class.getName(), response).build());
            }
            if (((OidcUser) by.getPrincipal()).getEmail().equals(System.getenv("EMAIL"))) {
                response.getWriter().print("welcome");
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Trust.only(System.getenv("SSL_CERT_FILE"));
        String[] at = System.getenv("LISTEN").split(":");
        var tomcat = new Tomcat();
        tomcat.setBaseDir(System.getenv("DIR"));
        tomcat.setPort(Integer.parseInt(at[1]));
        tomcat.getConnector().setProperty("address", at[0]);
        tomcat.addContext("", null).addServletContainerInitializer((classes, servlets) -> {
            var beans = new AnnotationConfigWebApplicationContext();
            beans.register(Security.class);
            beans.setServletContext(servlets);
            beans.refresh();
            servlets.addFilter("security", new DelegatingFilterProxy("springSecurityFilterChain", beans))
                .addMappingForUrlPatterns(EnumSet.of(DispatcherType.REQUEST), false, "/*");
            servlets.addServlet("home", new Home(beans.getBean(OAuth2AuthorizedClientManager.class))).addMapping("/");
        }, null);
        tomcat.start();
        tomcat.getServer().await();
    }
}
