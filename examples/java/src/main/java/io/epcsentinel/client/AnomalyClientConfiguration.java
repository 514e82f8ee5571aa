package io.epcsentinel.client;

import java.nio.file.Path;
import java.time.Duration;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.PropertySource;
import org.springframework.stereotype.Component;

/**
 * The client as a Spring bean, from the properties epc-sentinel.*; Spring closes it with the application. A Component,
 * because one bean method that calls no other needs none of the proxies of a Configuration.
 */
@Component
@PropertySource("classpath:io/epcsentinel/client/epc-sentinel.properties")
public class AnomalyClientConfiguration {

    @Bean
    public AnomalyClient anomalyClient(
            @Value("${epc-sentinel.target}") String target,
            @Value("${epc-sentinel.deadline-s:60}") long deadlineS,
            @Value("${epc-sentinel.ca-file:}") String caFile,
            @Value("${epc-sentinel.cert-file:}") String certFile,
            @Value("${epc-sentinel.key-file:}") String keyFile,
            @Value("${epc-sentinel.token-file:}") String tokenFile) {
        Connection connection =
                new Connection(target, path(caFile), path(certFile), path(keyFile), path(tokenFile));
        return new AnomalyClient(connection, Duration.ofSeconds(deadlineS));
    }

    private static Path path(String text) {
        return text.isEmpty() ? null : Path.of(text);
    }
}
