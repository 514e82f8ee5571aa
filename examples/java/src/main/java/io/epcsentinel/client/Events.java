package io.epcsentinel.client;

import com.google.protobuf.Timestamp;
import io.epcsentinel.v1.ScanEvent;
import java.time.Instant;
import java.util.List;

/** Events for the gateway; what protobuf answers with a nameless NullPointerException is an error with a name here. */
public final class Events {

    private Events() {}

    /**
     * Returns an event.
     *
     * @throws IllegalArgumentException a column is null
     */
    public static ScanEvent of(
            long eventId,
            String epcCode,
            long locationId,
            String businessStep,
            String eventType,
            Instant eventTime,
            long fileId) {
        if (eventTime == null) {
            throw new IllegalArgumentException("event " + eventId + ": eventTime is null: leave the event out");
        }
        return ScanEvent.newBuilder()
                .setEventId(eventId)
                .setEpcCode(text(eventId, "epcCode", epcCode))
                .setLocationId(locationId)
                .setBusinessStep(text(eventId, "businessStep", businessStep))
                .setEventType(text(eventId, "eventType", eventType))
                .setEventTime(Timestamp.newBuilder()
                        .setSeconds(eventTime.getEpochSecond())
                        .setNanos(eventTime.getNano()))
                .setFileId(fileId)
                .build();
    }

    /**
     * Returns the events of a request or a file as they are.
     *
     * @throws IllegalArgumentException there are none, or one is null
     */
    static List<ScanEvent> checked(List<ScanEvent> events) {
        if (events == null || events.isEmpty()) {
            throw new IllegalArgumentException("no events: there is nothing to judge in an empty file, do not send it");
        }
        for (int at = 0; at < events.size(); at++) {
            if (events.get(at) == null) {
                throw new IllegalArgumentException("events[" + at + "] is null: leave it out");
            }
        }
        return events;
    }

    private static String text(long eventId, String column, String value) {
        if (value == null) {
            throw new IllegalArgumentException("event " + eventId + ": " + column
                    + " is null: give \"\" where nothing was read, it is judged too");
        }
        return value;
    }
}
