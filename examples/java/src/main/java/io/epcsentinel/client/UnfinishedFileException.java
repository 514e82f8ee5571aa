package io.epcsentinel.client;

import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.ScanEvent;
import io.grpc.StatusRuntimeException;
import java.util.List;

/** A part of a file has failed, with its status and trailers; what was judged before is here. */
public final class UnfinishedFileException extends StatusRuntimeException {

    private static final long serialVersionUID = 1;

    private final transient List<AnalyzeResponse> answers;
    private final transient List<ScanEvent> rest;

    UnfinishedFileException(StatusRuntimeException failure, List<AnalyzeResponse> answers, List<ScanEvent> rest) {
        super(failure.getStatus().withCause(failure), failure.getTrailers());
        this.answers = answers;
        this.rest = rest;
    }

    /** Returns the answers to the parts before, to be merged by {@link FileReport#of} with those to the rest. */
    public List<AnalyzeResponse> answers() {
        return answers;
    }

    /** Returns the events without an answer, the failed part first: "data[17]" of a bad field is number 17 of these. */
    public List<ScanEvent> rest() {
        return rest;
    }
}
