package io.epcsentinel.client;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The real gateway, which a test may kill and start again on the same port. */
final class GatewayProcess implements AutoCloseable {

    private final int port;
    private final List<String> flags;
    private Process process;

    GatewayProcess(String... flags) throws IOException {
        this.flags = List.of(flags);
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        start();
    }

    String target() {
        return "127.0.0.1:" + port;
    }

    /** Starts it and does not wait. */
    void start() throws IOException {
        List<String> command = new ArrayList<>(List.of(System.getProperty("test.python"), "-m", "service", "serve"));
        command.addAll(List.of("--port", Integer.toString(port)));
        command.addAll(flags);
        process = new ProcessBuilder(command)
                .directory(new File(System.getProperty("test.root")))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(new File(System.getProperty("test.log"))))
                .start();
    }

    /** Sends SIGKILL and waits for the end. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
    }

    /** Stops it where it is (SIGSTOP): it neither answers nor closes a connection until it is resumed. */
    void pause() throws IOException, InterruptedException {
        signal("STOP");
    }

    void resume() throws IOException, InterruptedException {
        signal("CONT");
    }

    private void signal(String name) throws IOException, InterruptedException {
        new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor();
    }

    /** Sends SIGTERM and waits for the end. */
    void stop() throws InterruptedException {
        process.destroy();
        if (!process.waitFor(15, TimeUnit.SECONDS)) {
            kill();
        }
    }

    @Override
    public void close() throws InterruptedException {
        stop();
    }
}
