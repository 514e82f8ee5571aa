package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A gateway with mutual TLS, tokens, and ten calls per second of each caller. */
@Timeout(90)
class SecuredTest {

    private static final String TARGET = System.getProperty("test.secured");
    private static final Path SECRETS = Path.of(System.getProperty("test.secrets"));
    private static final Path CA = SECRETS.resolve("ca.pem");
    private static final Path CERT = SECRETS.resolve("client.pem");
    private static final Path KEY = SECRETS.resolve("client-key.pem");
    private static final Path TOKEN = SECRETS.resolve("token");
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final List<ScanEvent> EVENTS = Scans.many(5);

    @Test
    void aCallerWithCertificateAndTokenIsAnswered() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (AnomalyClient client = new AnomalyClient(new Connection(TARGET, CA, CERT, KEY, TOKEN), PATIENCE)) {
            assertEquals("rule-based", client.analyze(EVENTS, Detector.DETECTOR_RULES).getMethod());
            try (AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE)) {
                stream.send(Scans.numbered(7));
                stream.finish();
            }
        }
        assertEquals(List.of(7L), answers);
    }

    @Test
    void callsOverTheLimitAreSentAgain() {
        Attempts attempts = new Attempts();
        Connection connection = new Connection(TARGET, CA, CERT, KEY, TOKEN);
        try (AnomalyClient client = new AnomalyClient(connection, PATIENCE, attempts)) {
            for (int call = 0; call < 12; call++) {
                AnalyzeResponse answer = client.analyze(EVENTS, Detector.DETECTOR_RULES);
                assertEquals("rule-based", answer.getMethod());
            }
        }
        assertTrue(attempts.sent() > 12, "none was refused");
    }

    @Test
    void aTokenThatIsReplacedIsUsedFromTheNextCallOn() throws Exception {
        Path file = Files.writeString(Files.createTempFile("token", ""), "a wrong one\n");
        Attempts attempts = new Attempts();
        Connection connection = new Connection(TARGET, CA, CERT, KEY, file);
        try (AnomalyClient client = new AnomalyClient(connection, PATIENCE, attempts)) {
            assertEquals(Status.Code.UNAUTHENTICATED, refusal(client));
            assertEquals(1, attempts.sent()); // a wrong token stays wrong: no retry
            Files.copy(TOKEN, file, StandardCopyOption.REPLACE_EXISTING);
            assertEquals("rule-based", client.analyze(EVENTS, Detector.DETECTOR_RULES).getMethod());
            Files.delete(file);
            assertEquals(Status.Code.UNAUTHENTICATED, refusal(client));
        }
    }

    /** Calls wait for a connection until their deadline, and none comes to be. */
    @Test
    void withoutTheRightCertificatesThereIsNoConnection() {
        Path strangers = SECRETS.resolve("other-ca.pem");
        for (Connection connection : List.of(
                new Connection(TARGET, CA, null, null, TOKEN),
                new Connection(TARGET, strangers, CERT, KEY, TOKEN))) {
            Attempts attempts = new Attempts();
            try (AnomalyClient client = new AnomalyClient(connection, Duration.ofSeconds(1), attempts)) {
                assertEquals(Status.Code.DEADLINE_EXCEEDED, refusal(client));
            }
            assertEquals(0, attempts.sent());
        }
    }

    private static Status.Code refusal(AnomalyClient client) {
        return assertThrows(StatusRuntimeException.class, () -> client.analyze(EVENTS, Detector.DETECTOR_RULES))
                .getStatus()
                .getCode();
    }
}
