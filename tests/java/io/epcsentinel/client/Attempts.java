package io.epcsentinel.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Counts the requests of Analyze that were sent, those of retries too. */
final class Attempts implements ClientInterceptor {

    private final AtomicInteger sent = new AtomicInteger();

    int sent() {
        return sent.get();
    }

    void awaitSent(int count) throws InterruptedException {
        while (sent.get() < count) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
        if (!method.getBareMethodName().equals("Analyze")) {
            return next.newCall(method, options);
        }
        return next.newCall(method, options.withStreamTracerFactory(new ClientStreamTracer.Factory() {
            @Override
            public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
                return new ClientStreamTracer() {
                    @Override
                    public void outboundMessageSent(int number, long wireBytes, long plainBytes) {
                        sent.incrementAndGet();
                    }
                };
            }
        }));
    }
}
