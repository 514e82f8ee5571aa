package io.epcsentinel.client;

import io.epcsentinel.v1.Detector;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneId;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/** What the backend does with a file: AnalyzeCsv HOST:PORT FILE prints the rows to store, table by table. */
public final class AnalyzeCsv {

    /** Where the file's times are local. */
    private static final ZoneId SITES = ZoneId.of("Asia/Seoul");

    private AnalyzeCsv() {}

    public static void main(String[] arguments) throws ReflectiveOperationException {
        if (arguments.length != 2) {
            System.err.println("usage: AnalyzeCsv HOST:PORT FILE");
            System.exit(2);
        }
        try (AnomalyClient client = new AnomalyClient(Connection.plaintext(arguments[0]), Duration.ofSeconds(60))) {
            List<ScanEvent> events = RawRows.read(Path.of(arguments[1]), 1, SITES);
            FileReport report = FileReport.of(
                    client.analyzeFile(events, Detector.DETECTOR_LSTM, AnomalyClient.MAX_EVENTS));
            print("EventHistory", FileReport.EventHistory.class, report.eventHistory());
            print("epcAnomalyStats", FileReport.EpcAnomalyStats.class, report.epcAnomalyStats());
            print("fileAnomalyStats", FileReport.FileAnomalyStats.class, List.of(report.fileAnomalyStats()));
        } catch (StatusRuntimeException refused) {
            System.err.println(refused.getStatus() + " " + AnomalyClient.badFields(refused));
            System.exit(1);
        } catch (IOException | IllegalArgumentException error) {
            System.err.println(error);
            System.exit(1);
        }
    }

    /** Prints the name of a table, its columns, and its rows, separated by tabs. */
    private static void print(String table, Class<? extends Record> type, List<? extends Record> rows)
            throws ReflectiveOperationException {
        System.out.println("# " + table);
        System.out.println(Arrays.stream(type.getRecordComponents())
                .map(RecordComponent::getName)
                .collect(Collectors.joining("\t")));
        for (Record row : rows) {
            StringBuilder line = new StringBuilder();
            for (RecordComponent column : type.getRecordComponents()) {
                line.append(Objects.toString(column.getAccessor().invoke(row), "NULL")).append('\t');
            }
            System.out.println(line.toString().stripTrailing());
        }
    }
}
