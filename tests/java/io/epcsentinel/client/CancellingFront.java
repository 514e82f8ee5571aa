package io.epcsentinel.client;

import io.epcsentinel.v1.AnalyzeRequest;
import io.epcsentinel.v1.AnalyzeResponse;
import io.epcsentinel.v1.AnomalyServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;

/**
 * A server before the real gateway that ends the first call of each method as a gateway does that stops before it takes
 * the call: by CANCELLED.
 */
final class CancellingFront implements AutoCloseable {

    private final ManagedChannel channel;
    private final Server server;

    CancellingFront(String target) throws IOException {
        channel = Connection.plaintext(target).open();
        server = Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
                .addService(new Front(AnomalyServiceGrpc.newStub(channel)))
                .build()
                .start();
    }

    String target() {
        return "127.0.0.1:" + server.getPort();
    }

    @Override
    public void close() {
        server.shutdownNow();
        channel.shutdownNow();
    }

    private static final class Front extends AnomalyServiceGrpc.AnomalyServiceImplBase {
        private final AnomalyServiceGrpc.AnomalyServiceStub gateway;
        private boolean called;
        private boolean opened;

        Front(AnomalyServiceGrpc.AnomalyServiceStub gateway) {
            this.gateway = gateway;
        }

        @Override
        public synchronized void analyze(AnalyzeRequest request, StreamObserver<AnalyzeResponse> answers) {
            if (called) {
                gateway.analyze(request, answers);
            } else {
                called = true;
                answers.onError(Status.CANCELLED.asException());
            }
        }

        @Override
        public synchronized StreamObserver<AnalyzeRequest> analyzeStream(StreamObserver<AnalyzeResponse> answers) {
            if (opened) {
                return gateway.analyzeStream(answers);
            }
            opened = true;
            answers.onError(Status.CANCELLED.asException());
            return new Ignored();
        }
    }

    /** What is still on its way in a call that has ended. */
    private static final class Ignored implements StreamObserver<AnalyzeRequest> {
        @Override
        public void onNext(AnalyzeRequest request) {}

        @Override
        public void onError(Throwable error) {}

        @Override
        public void onCompleted() {}
    }
}
