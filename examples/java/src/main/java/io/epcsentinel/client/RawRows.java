package io.epcsentinel.client;

import io.epcsentinel.v1.ScanEvent;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Raw scan files in UTF-8, separated by tabs or commas; `epc-sentinel analyze` reads what else a raw file may hold. */
final class RawRows {

    private static final List<String> REQUIRED =
            List.of("epc_code", "location_id", "business_step", "event_type", "event_time");

    private RawRows() {}

    /**
     * Returns the rows of a file as events with the row number, from 1, as id; times are local to {@code zone}.
     *
     * @throws IllegalArgumentException a column is missing or a row cannot be read; with file and line
     */
    static List<ScanEvent> read(Path file, long fileId, ZoneId zone) throws IOException {
        List<ScanEvent> events = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            String header = lines.readLine();
            if (header == null) {
                throw new IllegalArgumentException(file + ": the file is empty; its first line names the columns");
            }
            String separator = header.contains("\t") ? "\t" : ",";
            List<String> names = Arrays.asList(header.replace("\uFEFF", "").split(separator));
            if (!names.containsAll(REQUIRED)) {
                throw new IllegalArgumentException(file + ": line 1: has to name the columns " + REQUIRED);
            }
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                try {
                    events.add(event(names, line.split(separator, -1), events.size() + 1L, fileId, zone));
                } catch (IndexOutOfBoundsException | NumberFormatException | DateTimeException error) {
                    throw new IllegalArgumentException(
                            "%s: line %d: %s".formatted(file, events.size() + 2, error.getMessage()), error);
                }
            }
        }
        return events;
    }

    private static ScanEvent event(List<String> names, String[] cells, long eventId, long fileId, ZoneId zone) {
        return Events.of(
                eventId,
                cells[names.indexOf("epc_code")],
                Long.parseLong(cells[names.indexOf("location_id")]),
                cells[names.indexOf("business_step")],
                cells[names.indexOf("event_type")],
                LocalDateTime.parse(cells[names.indexOf("event_time")].replace(' ', 'T')).atZone(zone).toInstant(),
                fileId);
    }
}
