package io.epcsentinel.client;

import io.epcsentinel.v1.ScanEvent;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Cuts a file that is too large for one request. An item is judged by its whole journey and by what the other items of
 * its lot did, so a cut goes between lots; a lot larger than a request is cut between items.
 */
public final class Batches {

    private Batches() {}

    /**
     * Returns all events once, in batches; a file that fits is one batch, in its own order.
     *
     * @param maxEvents of a batch; only the events of a single code may be more, and are cut then
     * @throws IllegalArgumentException {@code maxEvents} is not positive
     */
    public static List<List<ScanEvent>> of(List<ScanEvent> events, int maxEvents) {
        if (maxEvents <= 0) {
            throw new IllegalArgumentException(
                    "maxEvents is " + maxEvents + ": a request needs one event; the gateway takes 50,000");
        }
        if (events.size() <= maxEvents) {
            return events.isEmpty() ? List.of() : List.of(events);
        }
        List<List<ScanEvent>> batches = new ArrayList<>();
        List<ScanEvent> batch = new ArrayList<>();
        for (List<ScanEvent> piece : pieces(events, maxEvents)) {
            if (batch.size() + piece.size() > maxEvents) {
                batches.add(batch);
                batch = new ArrayList<>();
            }
            batch.addAll(piece);
        }
        batches.add(batch);
        return batches;
    }

    /** Returns the lots, those that are too large as their items, those in turn as what fits. */
    private static List<List<ScanEvent>> pieces(List<ScanEvent> events, int maxEvents) {
        Map<String, Map<String, List<ScanEvent>>> lots = new LinkedHashMap<>();
        for (ScanEvent event : events) {
            String code = event.getEpcCode();
            lots.computeIfAbsent(lot(code), unused -> new LinkedHashMap<>())
                    .computeIfAbsent(code, unused -> new ArrayList<>())
                    .add(event);
        }
        List<List<ScanEvent>> pieces = new ArrayList<>();
        for (Map<String, List<ScanEvent>> items : lots.values()) {
            List<ScanEvent> lot = items.values().stream().flatMap(List::stream).toList();
            if (lot.size() <= maxEvents) {
                pieces.add(lot);
            } else {
                items.values().forEach(item -> addCut(pieces, item, maxEvents));
            }
        }
        return pieces;
    }

    private static void addCut(List<List<ScanEvent>> pieces, List<ScanEvent> item, int maxEvents) {
        for (int at = 0; at < item.size(); at += maxEvents) {
            pieces.add(item.subList(at, Math.min(at + maxEvents, item.size())));
        }
    }

    /** Returns the code without its serial. */
    private static String lot(String code) {
        return code.substring(0, Math.max(code.lastIndexOf('.'), 0));
    }
}
