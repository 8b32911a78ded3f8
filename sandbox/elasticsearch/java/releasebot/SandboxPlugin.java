package releasebot;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.Supplier;

import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterFilter;
import org.apache.lucene.analysis.miscellaneous.WordDelimiterIterator;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.NormalizingTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;

/** What a distribution has in modules that are not on Maven Central, as far as METASPACE's mappings and the client need it. */
public final class SandboxPlugin extends Plugin implements ActionPlugin, AnalysisPlugin {
    @Override
    public Collection<RestHandler> getRestHandlers(
        Settings settings, NamedWriteableRegistry registry, RestController controller, ClusterSettings clusterSettings,
        IndexScopedSettings indexSettings, SettingsFilter filter, IndexNameExpressionResolver resolver,
        Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features
    ) {
        return List.of(new RootHandler(settings));
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "asciifolding", (index, environment, name, settings) -> new Folding(name, settings),
            "word_delimiter", (index, environment, name, settings) -> new Delimiter(name, settings)
        );
    }

    /** Also part of normalizers, hence the interface. */
    private static final class Folding extends AbstractTokenFilterFactory implements NormalizingTokenFilterFactory {
        private final boolean preserve;

        Folding(String name, Settings settings) {
            super(name, settings);
            preserve = settings.getAsBoolean("preserve_original", false);
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return new ASCIIFoldingFilter(tokens, preserve);
        }

        @Override
        public TokenStream normalize(TokenStream tokens) {
            return new ASCIIFoldingFilter(tokens, false);
        }
    }

    @SuppressWarnings("deprecation")  // it is this filter that METASPACE's mappings name
    private static final class Delimiter extends AbstractTokenFilterFactory {
        /** Option → flag and default, as Elasticsearch documents them for word_delimiter. */
        private static final Map<String, Map.Entry<Integer, Boolean>> OPTIONS = Map.of(
            "generate_word_parts", Map.entry(WordDelimiterFilter.GENERATE_WORD_PARTS, true),
            "generate_number_parts", Map.entry(WordDelimiterFilter.GENERATE_NUMBER_PARTS, true),
            "catenate_words", Map.entry(WordDelimiterFilter.CATENATE_WORDS, false),
            "catenate_numbers", Map.entry(WordDelimiterFilter.CATENATE_NUMBERS, false),
            "catenate_all", Map.entry(WordDelimiterFilter.CATENATE_ALL, false),
            "split_on_case_change", Map.entry(WordDelimiterFilter.SPLIT_ON_CASE_CHANGE, true),
            "preserve_original", Map.entry(WordDelimiterFilter.PRESERVE_ORIGINAL, false),
            "split_on_numerics", Map.entry(WordDelimiterFilter.SPLIT_ON_NUMERICS, true),
            "stem_english_possessive", Map.entry(WordDelimiterFilter.STEM_ENGLISH_POSSESSIVE, true)
        );
        private final int flags;

        Delimiter(String name, Settings settings) {
            super(name, settings);
            flags = OPTIONS.entrySet().stream()
                .filter(option -> settings.getAsBoolean(option.getKey(), option.getValue().getValue()))
                .mapToInt(option -> option.getValue().getKey())
                .sum();
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return new WordDelimiterFilter(tokens, WordDelimiterIterator.DEFAULT_WORD_DELIM_TABLE, flags, CharArraySet.EMPTY_SET);
        }
    }
}
