import java.io.*;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

/** Runs Kafka's tools one after the other: a line is a class and its arguments, the answer what it printed and its status. */
public final class Tools {
    /** first is the first status that a tool ended with: some catch their own end, and end again. */
    private static Integer first;

    private Tools() {}

    static final class Ended extends RuntimeException {
        Ended(int status) {
            if (first == null) {
                first = status;
            }
        }
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Exit.setExitProcedure((status, message) -> {
            throw new Ended(status);
        });
        Exit.setHaltProcedure((status, message) -> {
            throw new Ended(status);
        });
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split("\u001f");
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            PrintStream to = new PrintStream(printed, true, "UTF-8");
            System.setOut(to);
            System.setErr(to);
            first = null;
            int status = 0;
            try {
                Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(words, 1, words.length));
            } catch (InvocationTargetException e) {
                if (first == null) {
                    e.getCause().printStackTrace(to);
                    status = 1;
                }
            }
            to.flush();
            out.print(printed.toString("UTF-8") + "\u001e" + (first == null ? status : first) + "\n");
            out.flush();
        }
    }
}
