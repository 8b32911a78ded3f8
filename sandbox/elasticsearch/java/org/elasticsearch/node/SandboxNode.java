package org.elasticsearch.node;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.ClassPathPlugins;
import org.elasticsearch.plugins.PluginsService;
import org.elasticsearch.transport.netty4.Netty4Plugin;

import releasebot.SandboxPlugin;

/**
 * One Elasticsearch node from the class path: no module folders, no bootstrap checks.
 * Arguments: a home with config/elasticsearch.yml, and "trial" to end again once it has started.
 */
public final class SandboxNode extends Node {
    private SandboxNode(Environment environment) {
        super(NodeConstruction.prepareConstruction(environment, new FromClassPath(), true));
    }

    private static final class FromClassPath extends NodeServiceProvider {
        @Override
        PluginsService newPluginService(Environment environment, Settings settings) {
            return new ClassPathPlugins(settings, environment, List.of(Netty4Plugin.class, SandboxPlugin.class));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        LogConfigurator.loadLog4jPlugins();
        LogConfigurator.configureESLogging();
        Settings settings = Settings.builder().put("path.home", home).build();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home.resolve("config"), () -> "sandbox");
        LogConfigurator.setNodeName(NODE_NAME_SETTING.get(environment.settings()));
        LogConfigurator.configure(environment, true);
        SandboxNode node = new SandboxNode(environment);
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> end(node, ended)));
        node.start();
        if (arguments.length > 1) {
            System.exit(0);
        }
        ended.await();
    }

    private static void end(Node node, CountDownLatch ended) {
        try {
            node.close();
            node.awaitClose(5, TimeUnit.SECONDS);
        } catch (Exception error) {
            System.err.println("The node did not end in good order: " + error);
        }
        ended.countDown();
    }
}
