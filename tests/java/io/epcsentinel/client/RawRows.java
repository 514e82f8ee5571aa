package io.epcsentinel.client;

import com.google.protobuf.Timestamp;
import io.epcsentinel.v1.ScanEvent;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Raw scan files with tabs, as the simulator writes them; what else a raw file may hold is the gateway's matter. */
final class RawRows {

    private RawRows() {}

    /** Returns the rows of a file as events with the row number, from 1, as id; times are UTC. */
    static List<ScanEvent> read(Path file, long fileId) throws IOException {
        List<ScanEvent> events = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            List<String> names = Arrays.asList(lines.readLine().replace("\uFEFF", "").split("\t"));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                events.add(event(names, line.split("\t", -1), events.size() + 1L, fileId));
            }
        }
        return events;
    }

    private static ScanEvent event(List<String> names, String[] cells, long eventId, long fileId) {
        return ScanEvent.newBuilder()
                .setEventId(eventId)
                .setEpcCode(cells[names.indexOf("epc_code")])
                .setLocationId(Long.parseLong(cells[names.indexOf("location_id")]))
                .setBusinessStep(cells[names.indexOf("business_step")])
                .setEventType(cells[names.indexOf("event_type")])
                .setEventTime(utc(cells[names.indexOf("event_time")]))
                .setFileId(fileId)
                .build();
    }

    private static Timestamp utc(String text) {
        LocalDateTime time = LocalDateTime.parse(text.replace(' ', 'T'));
        return Timestamp.newBuilder()
                .setSeconds(time.toEpochSecond(ZoneOffset.UTC))
                .setNanos(time.getNano())
                .build();
    }
}
