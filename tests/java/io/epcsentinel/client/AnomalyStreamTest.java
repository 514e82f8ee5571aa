package io.epcsentinel.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.epcsentinel.v1.AnalyzeRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A stream on a real gateway that is there all the time. */
@Timeout(90)
class AnomalyStreamTest {

    private static final Connection CONNECTION = Connection.plaintext(System.getProperty("test.target"));
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @Test
    void hundredsOfRequestsGetTheirOwnAnswersInOrder() throws Exception {
        List<Long> requests = new CopyOnWriteArrayList<>();
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE);
                AnomalyStream stream = client.stream((request, answer) -> {
                    requests.add(request.getData(0).getFileId());
                    answers.add(answer.getFileId());
                }, PATIENCE)) {
            for (long number = 0; number < 300; number++) {
                stream.send(Scans.numbered(number));
            }
            stream.finish();
            assertEquals(0, stream.restarts());
        }
        assertEquals(LongStream.range(0, 300).boxed().toList(), answers);
        assertEquals(answers, requests);
    }

    @Test
    void aRefusedRequestEndsTheStreamAndIsNotSentAgain() throws Exception {
        List<Long> answers = new CopyOnWriteArrayList<>();
        try (AnomalyClient client = new AnomalyClient(CONNECTION, PATIENCE);
                AnomalyStream stream = client.stream((request, answer) -> answers.add(answer.getFileId()), PATIENCE)) {
            stream.send(Scans.numbered(0));
            stream.send(AnalyzeRequest.getDefaultInstance());
            StatusRuntimeException refused = assertThrows(StatusRuntimeException.class, stream::finish);
            assertEquals(Status.Code.INVALID_ARGUMENT, refused.getStatus().getCode());
            assertTrue(AnomalyClient.badFields(refused).containsKey("requests[1].data"));
            assertEquals(List.of(0L), answers);
            assertThrows(StatusRuntimeException.class, () -> stream.send(Scans.numbered(2)));
        }
    }
}
