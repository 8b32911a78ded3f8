package org.elasticsearch.plugins;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.elasticsearch.Build;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.jdk.ModuleQualifiedExportsService;

/** Plugins that are on the class path already, where the server looks for module folders. */
public final class ClassPathPlugins extends PluginsService {
    private final List<LoadedPlugin> loaded;

    public ClassPathPlugins(Settings settings, Environment environment, Collection<Class<? extends Plugin>> classes) {
        super(settings, environment.configFile(), environment.modulesFile(), environment.pluginsFile());
        List<LoadedPlugin> made = new ArrayList<>();
        for (Class<? extends Plugin> one : classes) {
            Plugin plugin = loadPlugin(one, settings, environment.configFile());
            made.add(new LoadedPlugin(described(one), plugin, one.getClassLoader(), ModuleLayer.boot()));
        }
        loadExtensions(made);
        loaded = List.copyOf(made);
    }

    private static PluginDescriptor described(Class<? extends Plugin> one) {
        String version = Build.current().version();
        String java = System.getProperty("java.specification.version");
        return new PluginDescriptor(
            one.getSimpleName(), "from the class path", version, version, java, one.getName(), null, List.of(), false, false, false, false
        );
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return loaded;
    }

    @Override
    protected void addServerExportsService(Map<String, List<ModuleQualifiedExportsService>> exports) {
        // The server is no module here, so it has nothing to export.
    }
}
