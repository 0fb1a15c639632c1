// Files and command lines: what they mean, and what they say when they are wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>

#include "config/describe.h"
#include "config/load.h"
#include "config/reference_keys.h"

namespace selvage::config {
namespace {

Environment variables(std::map<std::string, std::string> values = {}) {
    return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
        const auto found = values.find(name);
        if (found == values.end()) return std::nullopt;
        return found->second;
    };
}

// What is wrong with the text; "" if nothing.
std::string mistakes(std::string_view text) {
    const auto parsed = parse_toml(text, "home.toml");
    return parsed ? "" : parsed.error().message();
}

constexpr std::string_view kFull = R"(
instance_name = "home"
instance_id = "7b1f1a33-8a7e-4d39-9f53-1a2b3c4d5e6f"
hostname = "node-1"
ipv4 = "10.144.1.1"
listeners = ["tcp://0.0.0.0:11010", "udp://[::]:11010"]

[network_identity]
network_name = "home"
network_secret = "s3cret"

[[peer]]
uri = "tcp://relay.example:11010"
[[peer]]
uri = "udp://10.0.0.1"

[flags]
noTun = true
dev_name = "mesh0"
mtu = "1300"
enable_encryption = false
encryption_algorithm = "chacha20"
disable_p2p = true
multi_thread = false
relay_network_whitelist = ""

[service.proxy]
enabled = true
allow = ["any-member"]
listen_host = "127.0.0.1:1080"
users = { alice = "$6$rounds=1000$saltsaltsalt$eX3bxJXT3" }
[[service.proxy.rule]]
action = "allow"
to = ["127.0.0.1/32"]
ports = ["8080"]

[service.shell]
enabled = true
allow = ["laptop", "10.144.1.7"]
auth = "mesh"
account = "ops"
)";

TEST(Config, AFullFileIsUnderstood) {
    const auto parsed = parse_toml(kFull, "home.toml");
    ASSERT_TRUE(parsed) << parsed.error().message();
    const NodeOptions& options = *parsed;
    EXPECT_EQ(options.instance_name, "home");
    EXPECT_EQ(options.instance_id->to_string(), "7b1f1a33-8a7e-4d39-9f53-1a2b3c4d5e6f");
    EXPECT_EQ(options.hostname, "node-1");
    EXPECT_EQ(options.addresses.ipv4->to_string(), "10.144.1.1/24");
    ASSERT_EQ(options.listeners.size(), 2U);
    EXPECT_EQ(options.listeners[1].to_string(), "udp://[::]:11010");
    EXPECT_EQ(options.network_name, "home");
    EXPECT_EQ(options.network_secret.reveal(), "s3cret");
    ASSERT_EQ(options.peers.size(), 2U);
    EXPECT_EQ(options.peers[1].port, 11010);
    EXPECT_TRUE(options.no_tun);
    EXPECT_EQ(options.dev_name, "mesh0");
    EXPECT_EQ(options.mtu, 1300U);
    EXPECT_FALSE(options.enable_encryption);
    EXPECT_EQ(options.encryption_algorithm, crypto::CipherAlgorithm::chacha20);
    ASSERT_EQ(options.services.size(), edge::service_table().size());
    for (const auto& service : options.services) {
        EXPECT_EQ(service.enabled, service.spec->name == "proxy" || service.spec->name == "shell")
            << service.spec->name;
    }
}

TEST(Config, AnEmptyFileHasTheDefaultsOfTheReference) {
    const auto parsed = parse_toml("", "home.toml");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->instance_name, "default");
    EXPECT_EQ(parsed->network_name, "default");
    EXPECT_TRUE(parsed->network_secret.empty());
    EXPECT_FALSE(parsed->addresses.ipv4);
    EXPECT_TRUE(parsed->listeners.empty());
    EXPECT_EQ(parsed->mtu, 1380U);
    EXPECT_TRUE(parsed->enable_encryption);
    EXPECT_EQ(parsed->encryption_algorithm, crypto::CipherAlgorithm::aes_gcm);
    for (const auto& service : parsed->services)
        EXPECT_FALSE(service.enabled);
}

TEST(Config, AnUnknownKeyNamesItsPlaceAndTheNearestKnownOne) {
    EXPECT_EQ(
        mistakes("instance_nam = \"x\"\n"),
        "home.toml:1:16: instance_nam: is not a key that is known here; did you mean "
        "`instance_name`?"
    );
    EXPECT_EQ(
        mistakes("[flags]\n\nno_tunn = true\n"),
        "home.toml:3:11: flags.no_tunn: is not a key that is known here; did you mean `no_tun`?"
    );
    EXPECT_EQ(
        mistakes("[service.shel]\nenabled = true\n"),
        "home.toml:1:1: service.shel: is no service; did you mean `shell`?"
    );
    EXPECT_EQ(
        mistakes("[service.gopher]\n"),
        "home.toml:1:1: service.gopher: is no service; there are: chargen, discard, echo, menu, "
        "proxy, "
        "shell"
    );
    EXPECT_EQ(
        mistakes("[service.proxy]\nallow = [\"any-member\"]\nalow = []\n"),
        "home.toml:3:8: service.proxy.alow: is not a key that is known here; did you mean `allow`?"
    );
}

TEST(Config, AllMistakesOfAFileAreReported) {
    EXPECT_EQ(
        mistakes("ipv4 = \"10.144.1.300\"\nlisteners = [\"quic://0.0.0.0:11012\", "
                 "5]\nmapped_listeners = [\"tcp://h\"]\n"
                 "[flags]\nmtu = 9000\nlatency_first = \"yes\"\n[[peer]]\nurl = \"tcp://a\"\n"),
        "home.toml:1:8: ipv4: must be an IPv4 address with its network, as \"10.144.1.1/24\"\n"
        "home.toml:2:14: listeners: the scheme quic is not in this version of Selvage\n"
        "home.toml:2:38: listeners: must hold strings, not a number\n"
        "home.toml:3:20: mapped_listeners: `mapped_listeners` is not supported yet: Selvage does "
        "not "
        "announce its listeners\n"
        "home.toml:5:7: flags.mtu: must be a whole number from 576 to 1500\n"
        "home.toml:6:17: flags.latency_first: must be true or false, not a string\n"
        "home.toml:7:1: peer.uri: is missing: write uri = \"tcp://host:11010\"\n"
        "home.toml:8:7: peer.url: is not a key that is known here; did you mean `uri`?"
    );
}

TEST(Config, SyntaxErrorsHaveAPlace) {
    EXPECT_TRUE(mistakes("ipv4 = \n").starts_with("home.toml:1:8: ")) << mistakes("ipv4 = \n");
    EXPECT_TRUE(mistakes("a = 1\na = 2\n").starts_with("home.toml:2:"));
    EXPECT_EQ(
        mistakes("ipv4 = 2026-11-22\n"), "home.toml:1:8: ipv4: is a date or time; no key takes one"
    );
}

TEST(Config, AHeaderThatIsNoKeyIsASyntaxError) {
    for (const char* text : {"[!", "[!\x0f\t", "[[!]]", "[ \"", "[", "[a.!]", "\n\xef\xb0\x87"}) {
        EXPECT_NE(mistakes(text), "") << text;
    }
}

TEST(Config, SecretsAreNotRepeatedInMistakes) {
    const std::string text =
        "[network_identity]\nnetwork_name = 5\nnetwork_secret = [\"hunter2\"]\n"
        "[service.proxy]\nusers = { alice = \"hunter2\" }\n[secure_mode]\nenabled = true\n"
        "local_private_key = \"hunter2\"\n";
    EXPECT_NE(mistakes(text), "");
    EXPECT_EQ(mistakes(text).find("hunter2"), std::string::npos) << mistakes(text);
}

TEST(Config, EveryKeyOfTheReferenceIsServedRefusedOrHarmless) {
    for (const FlagRule& rule : flag_rules()) {
        const std::string key(rule.key);
        if (rule.type == FlagType::boolean) {
            const bool any = rule.accepted == "*";
            EXPECT_EQ(mistakes("[flags]\n" + key + " = false\n"), "") << key;
            EXPECT_EQ(mistakes("[flags]\n" + key + " = true\n").empty(), any) << key;
            EXPECT_NE(mistakes("[flags]\n" + key + " = \"true\"\n"), "") << key;
        }
        if (rule.accepted != "*") EXPECT_FALSE(rule.why.empty()) << key;
    }
    EXPECT_EQ(
        mistakes("[flags]\nsocket_mark = 0\n"),
        "home.toml:2:15: flags.socket_mark: `socket_mark = 0` is not supported yet: sockets "
        "carry no mark"
    );
    EXPECT_EQ(mistakes("[flags]\ndata_compress_algo = \"None\"\n"), "");
    EXPECT_EQ(mistakes("[flags]\ndata_compress_algo = 1\n"), "");
    EXPECT_EQ(mistakes("[flags]\ndata_compress_algo = 2\n"), "");
    EXPECT_EQ(mistakes("[flags]\ndata_compress_algo = \"Zstd\"\n"), "");
    EXPECT_NE(mistakes("[flags]\ndata_compress_algo = \"Brotli\"\n"), "");
    EXPECT_NE(mistakes("[flags]\ndata_compress_algo = 3\n"), "");
    EXPECT_NE(mistakes("[flags]\ndata_compress_algo = true\n"), "");
    EXPECT_EQ(mistakes("[flags]\nforeignRelayBpsLimit = \"18446744073709551615\"\n"), "");
    EXPECT_EQ(mistakes("[flags]\nrelay_network_whitelist = \"*\"\n"), "");
    EXPECT_EQ(mistakes("[flags]\nrelay_network_whitelist = \"home\"\n"), "");
    EXPECT_NE(mistakes("[flags]\nrelay_network_whitelist = 1\n"), "");
    EXPECT_NE(mistakes("[flags]\nforeign_relay_bps_limit = -1\n"), "");
    EXPECT_NE(mistakes("[flags]\nforeign_relay_bps_limit = \"much\"\n"), "");
    EXPECT_NE(mistakes("[flags]\nprivate_mode = \"yes\"\n"), "");
    for (const DocumentRule& rule : document_rules()) {
        const std::string key(rule.key);
        EXPECT_NE(mistakes(key + " = true\n"), "") << key;
        EXPECT_NE(mistakes(key + " = \"x\"\n"), "") << key;
        EXPECT_NE(mistakes(key + " = [\"x\"]\n"), "") << key;
        EXPECT_EQ(mistakes(key + " = []\n"), "") << key;
    }
    EXPECT_EQ(mistakes("[secure_mode]\nenabled = false\n"), "");
    EXPECT_NE(mistakes("[secure_mode]\nenabled = true\n"), "");
    EXPECT_EQ(mistakes("[source]\nsource = \"user\"\n"), "");
    EXPECT_NE(mistakes("[source]\nsource = \"web\"\n"), "");
}

TEST(Config, AddressesAreCheckedAndCompletedAsInTheReference) {
    const auto address = [](std::string_view text) {
        const auto parsed = parse_toml(fmt::format("ipv4 = \"{}\"", text), "x");
        return parsed && parsed->addresses.ipv4 ? parsed->addresses.ipv4->to_string() : "refused";
    };
    EXPECT_EQ(address("10.144.1.1"), "10.144.1.1/24");
    EXPECT_EQ(address("10.144.1.1/32"), "10.144.1.1/24");
    EXPECT_EQ(address("10.144.1.1/16"), "10.144.1.1/16");
    for (const auto* bad :
         {"10.144.1.0/24", "10.144.1.255/24", "0.0.0.0", "127.0.0.1/8", "224.0.0.1/4", "fd00::1/64",
          "10.144.1.1/33", "10.144.1.1/0"}) {
        EXPECT_EQ(address(bad), "refused") << bad;
    }
}

TEST(Config, HostNamesAreCleanedAndCut) {
    const auto name = [](std::string_view text) {
        return parse_toml(fmt::format("hostname = \"{}\"", text), "x").value().hostname;
    };
    EXPECT_EQ(name("a\\tb\\u007fc"), "abc");
    EXPECT_EQ(name(std::string(40, 'x')), std::string(32, 'x'));
    std::string umlauts;
    for (int i = 0; i < 40; ++i)
        umlauts += "\xc3\xa4";
    EXPECT_EQ(name(umlauts), umlauts.substr(0, 64));
}

TEST(Config, DescriptionsHoldNoSecrets) {
    const auto options = parse_toml(kFull, "home.toml");
    ASSERT_TRUE(options);
    const std::string text = describe(*options);
    EXPECT_EQ(text.find("s3cret"), std::string::npos);
    EXPECT_EQ(text.find("$6$"), std::string::npos);
    EXPECT_NE(text.find("allow = [\"laptop\", \"10.144.1.7\"]"), std::string::npos) << text;
    const auto again = parse_toml(text, "described.toml");
    EXPECT_FALSE(again) << "a shell without users is the one thing that does not survive";
}

TEST(Substitution, ReplacesVariablesAsTheReferenceDoes) {
    const auto env = variables({{"NAME", "home"}, {"EMPTY", ""}});
    EXPECT_EQ(substitute("a $NAME b", env).text, "a home b");
    EXPECT_EQ(substitute("${NAME}s", env).text, "homes");
    EXPECT_EQ(substitute("${GONE:-spare}", env).text, "spare");
    EXPECT_EQ(substitute("${EMPTY}", env).text, "");
    EXPECT_EQ(substitute("$$NAME", env).text, "$NAME");
    EXPECT_EQ(substitute("100$", env).text, "100$");
    EXPECT_FALSE(substitute("plain", env).changed);
}

TEST(Substitution, OneUndefinedVariableLeavesTheWholeText) {
    const auto env = variables({{"NAME", "home"}});
    const Substituted left = substitute("$NAME $GONE", env);
    EXPECT_EQ(left.text, "$NAME $GONE");
    EXPECT_FALSE(left.changed);
    EXPECT_EQ(left.left_because, "$GONE is not defined");
    EXPECT_EQ(substitute("$NAME ${NAME", env).text, "$NAME ${NAME");
}

TEST(Substitution, PasswordHashesAreNotReferences) {
    const auto env = variables({{"NAME", "home"}, {"y", "wrong"}});
    const std::string text = "$NAME \"$6$rounds=1000$salt$abc./XYZ\" \"$y$j9T$salt$abc\"";
    EXPECT_EQ(
        substitute(text, env).text, "home \"$6$rounds=1000$salt$abc./XYZ\" \"$y$j9T$salt$abc\""
    );
}

CommandLine parsed(
    const std::vector<std::string>& arguments, const Environment& env = variables()
) {
    auto out = parse_command_line(arguments, env);
    EXPECT_TRUE(out) << out.error().message();
    return out.value_or(CommandLine{});
}

NodeOptions only_instance(
    const std::vector<std::string>& arguments, const Environment& env = variables()
) {
    auto loaded = load(parsed(arguments, env), env);
    EXPECT_TRUE(loaded) << loaded.error().message();
    if (!loaded || loaded->instances.size() != 1) return {};
    return std::move(loaded->instances[0]);
}

std::string refusal(
    const std::vector<std::string>& arguments, const Environment& env = variables()
) {
    auto command_line = parse_command_line(arguments, env);
    if (!command_line) return command_line.error().message();
    auto loaded = load(*command_line, env);
    return loaded ? "" : loaded.error().message();
}

// A file that is gone when the test ends.
class TemporaryFile {
public:
    explicit TemporaryFile(std::string_view text) {
        static int count = 0;
        path_ = fmt::format("{}config_test_{}.toml", testing::TempDir(), ++count);
        std::ofstream(path_) << text;
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { std::remove(path_.c_str()); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

TEST(CommandLine, FlagsAloneMakeAnInstance) {
    const NodeOptions options = only_instance(
        {"-i",
         "10.144.1.5",
         "--network-name",
         "home",
         "--network-secret",
         "s",
         "-p",
         "tcp://a:11010,udp://b:11010",
         "-p",
         "tcp://c:1",
         "-l",
         "tcp:5000",
         "--hostname",
         "h",
         "-m",
         "inst",
         "--no-tun",
         "--dev-name",
         "t0",
         "--mtu",
         "1300",
         "-u",
         "--encryption-algorithm",
         "aes-256-gcm"}
    );
    EXPECT_EQ(options.addresses.ipv4->to_string(), "10.144.1.5/24");
    EXPECT_EQ(options.network_name, "home");
    EXPECT_EQ(options.network_secret.reveal(), "s");
    ASSERT_EQ(options.peers.size(), 3U);
    EXPECT_EQ(options.peers[2].to_string(), "tcp://c:1");
    ASSERT_EQ(options.listeners.size(), 1U);
    EXPECT_EQ(options.listeners[0].to_string(), "tcp://0.0.0.0:5000");
    EXPECT_EQ(options.hostname, "h");
    EXPECT_EQ(options.instance_name, "inst");
    EXPECT_TRUE(options.no_tun);
    EXPECT_EQ(options.dev_name, "t0");
    EXPECT_EQ(options.mtu, 1300U);
    EXPECT_FALSE(options.enable_encryption);
    EXPECT_EQ(options.encryption_algorithm, crypto::CipherAlgorithm::aes_256_gcm);
}

TEST(CommandLine, NothingAtAllIsTheDefaultNetworkWithListeners) {
    const NodeOptions options = only_instance({});
    EXPECT_EQ(options.network_name, "default");
    std::vector<std::string> schemes;
    schemes.reserve(options.listeners.size());
    for (const auto& url : options.listeners)
        schemes.push_back(url.to_string());
    EXPECT_THAT(schemes, testing::Contains("tcp://0.0.0.0:11010"));
    EXPECT_THAT(schemes, testing::Contains("udp://0.0.0.0:11010"));
    EXPECT_TRUE(only_instance({"--no-listener"}).listeners.empty());
}

TEST(CommandLine, BooleanFlagsTakeNothingTrueOrFalse) {
    EXPECT_TRUE(only_instance({"--no-tun"}).no_tun);
    EXPECT_TRUE(only_instance({"--no-tun", "true"}).no_tun);
    EXPECT_FALSE(only_instance({"--no-tun", "false"}).no_tun);
    EXPECT_TRUE(only_instance({"--no-tun", "--mtu", "1300"}).no_tun);
    EXPECT_EQ(refusal({"--no-tun", "yes"}), "--no-tun: must be true or false");
    EXPECT_EQ(refusal({"--no-tun=1"}), "--no-tun: must be true or false");
    EXPECT_TRUE(only_instance({"--disable-encryption", "false"}).enable_encryption);
}

TEST(CommandLine, VariablesStandInForFlagsThatAreNotGiven) {
    const auto env = variables(
        {{"ET_NETWORK_NAME", "env"}, {"ET_NO_TUN", "true"}, {"ET_PEERS", "tcp://a:1,tcp://b:2"}}
    );
    const NodeOptions options = only_instance({"--network-name", "flag"}, env);
    EXPECT_EQ(options.network_name, "flag");
    EXPECT_TRUE(options.no_tun);
    EXPECT_EQ(options.peers.size(), 2U);
    EXPECT_EQ(refusal({}, variables({{"ET_NO_TUN", "1"}})), "ET_NO_TUN: must be true or false");
    EXPECT_EQ(refusal({}, variables({{"ET_NO_TUN", ""}})), "ET_NO_TUN: must be true or false");
}

TEST(CommandLine, ProxyAndForwardsHaveTheReferencesFlags) {
    const auto options = only_instance(
        {"--socks5", "1080", "--port-forward", "tcp://127.0.0.1:80/10.144.1.2:8080",
         "--port-forward", "udp://[::1]:53/10.144.1.2:5353"}
    );
    ASSERT_EQ(options.forwards.size(), 2U);
    EXPECT_EQ(options.forwards[0].listen.to_string(), "127.0.0.1:80");
    EXPECT_EQ(options.forwards[0].to.to_string(), "10.144.1.2:8080");
    EXPECT_TRUE(options.forwards[1].udp);
    const auto proxies = std::ranges::count_if(options.services, [](const auto& service) {
        return service.host_is_open && service.listen_host->to_string() == "0.0.0.0:1080";
    });
    EXPECT_EQ(proxies, 1);
}

TEST(CommandLine, UnknownAndUnsupportedFlagsAreRefusedByName) {
    EXPECT_EQ(refusal({"--no-tunn"}), "--no-tunn: there is no such option; did you mean --no-tun?");
    EXPECT_EQ(refusal({"stray"}), "stray: is not expected here");
    EXPECT_EQ(
        refusal({"--enable-exit-node"}),
        "--enable-exit-node: flags.enable_exit_node: `enable_exit_node = true` is not supported "
        "yet: "
        "Selvage is no exit node"
    );
    EXPECT_EQ(
        refusal({"--socks5", "no"}),
        "--socks5: socks5_proxy: must be an address with a port: \"socks5://0.0.0.0:1080\""
    );
    EXPECT_EQ(
        refusal({"--port-forward", "tcp://0.0.0.0:1"}),
        "--port-forward: must be like tcp://127.0.0.1:8080/10.144.1.2:80"
    );
    EXPECT_EQ(
        refusal({"-w", "udp://x:1/y"}),
        "--config-server: is not supported yet: there is no config server client"
    );
    EXPECT_EQ(refusal({"--disable-p2p", "--multi-thread", "--use-smoltcp"}), "");
    EXPECT_EQ(
        refusal({"-n", "10.0.0.0/24"}),
        "--proxy-networks: proxy_network: `proxy_network` is not supported yet: Selvage exports no "
        "subnets"
    );
    EXPECT_EQ(
        refusal({"--accept-dns", "true", "--mtu", "big"}),
        "--mtu: flags.mtu: must be a whole number from 576 to 1500\n"
        "--accept-dns: flags.accept_dns: `accept_dns = true` is not supported yet: there is no "
        "magic DNS"
    );
}

TEST(CommandLine, FlagsWinOverTheOneFileAndAddToItsPeers) {
    const TemporaryFile file(kFull);
    const NodeOptions options = only_instance(
        {"-c", file.path(), "--hostname", "other", "-p", "tcp://extra:1", "--no-tun", "false"}
    );
    EXPECT_EQ(options.hostname, "other");
    EXPECT_EQ(options.network_name, "home");
    EXPECT_EQ(options.network_secret.reveal(), "s3cret");
    EXPECT_EQ(options.peers.size(), 3U);
    EXPECT_FALSE(options.no_tun);
    EXPECT_EQ(options.listeners.size(), 2U);
}

TEST(CommandLine, AFileAloneHasNoDefaultListeners) {
    const TemporaryFile file("ipv4 = \"10.144.1.1\"\n");
    EXPECT_TRUE(only_instance({"-c", file.path()}).listeners.empty());
    EXPECT_FALSE(only_instance({"-c", file.path(), "--hostname", "x"}).listeners.empty());
}

TEST(CommandLine, OfSeveralFilesFlagsGoToTheNetworkTheyName) {
    const TemporaryFile a("instance_name=\"a\"\n[network_identity]\nnetwork_name=\"a\"\n");
    const TemporaryFile b("instance_name=\"b\"\n[network_identity]\nnetwork_name=\"b\"\n");
    const auto names_of = [](const Result<Loaded>& loaded) {
        std::string out;
        for (const auto& options : loaded.value().instances)
            out += options.network_name + "/" + options.hostname + " ";
        return out;
    };
    const auto env = variables();
    const std::vector<std::string> files{"-c", a.path(), b.path()};
    auto with = [&](std::vector<std::string> more) {
        auto arguments = files;
        arguments.insert(arguments.end(), more.begin(), more.end());
        return load(parsed(arguments), env);
    };
    EXPECT_EQ(names_of(with({})), "a/ b/ ");
    EXPECT_EQ(names_of(with({"--network-name", "b", "--hostname", "h"})), "a/ b/h ");
    EXPECT_EQ(names_of(with({"--network-name", "c", "--hostname", "h"})), "a/ b/ c/h ");
}

TEST(CommandLine, FilesAreSubstitutedUnlessToldNotTo) {
    const TemporaryFile file("hostname = \"$WHO\"\n");
    const auto env = variables({{"WHO", "me"}});
    EXPECT_EQ(only_instance({"-c", file.path()}, env).hostname, "me");
    EXPECT_EQ(only_instance({"-c", file.path(), "--disable-env-parsing"}, env).hostname, "$WHO");
    auto loaded = load(parsed({"-c", file.path()}), variables());
    ASSERT_TRUE(loaded);
    ASSERT_EQ(loaded->warnings.size(), 1U);
    EXPECT_NE(loaded->warnings[0].find("$WHO is not defined"), std::string::npos);
}

TEST(CommandLine, MissingFilesAndDoubleNamesAreToldTogether) {
    const TemporaryFile one("");
    const TemporaryFile two("");
    const std::string text = refusal({"-c", one.path(), two.path(), "/nowhere/x.toml"});
    EXPECT_NE(text.find("/nowhere/x.toml: cannot be read"), std::string::npos) << text;
    EXPECT_NE(text.find("two instances are called \"default\""), std::string::npos) << text;
}

TEST(CommandLine, MetricsForOthersMustBeMeant) {
    const auto parse = [](const std::vector<std::string>& words) {
        return parse_command_line(words, [](const std::string&) { return std::nullopt; });
    };
    const auto local = parse({"--metrics-listen", "9100"});
    ASSERT_TRUE(local);
    EXPECT_EQ(local->metrics->to_string(), "127.0.0.1:9100");
    for (const char* wide : {"0.0.0.0:9100", "[::]:9100", "192.0.2.1:9100"}) {
        const auto refused = parse({"--metrics-listen", wide});
        ASSERT_FALSE(refused);
        EXPECT_NE(refused.error().message().find("--metrics-for-all"), std::string::npos);
        EXPECT_TRUE(parse({"--metrics-listen", wide, "--metrics-for-all"}));
    }
    EXPECT_FALSE(parse({"--metrics-listen", "here"}));
}

TEST(CommandLine, PacketsGoFirstUnlessToldOtherwise) {
    const auto realtime = [](const std::vector<std::string>& words, const char* variable) {
        return parse_command_line(
                   words,
                   [&](const std::string& name) {
                       return name == "ET_NO_REALTIME" ? std::optional<std::string>(variable)
                                                       : std::nullopt;
                   }
        )->realtime;
    };
    EXPECT_TRUE(realtime({}, "false"));
    EXPECT_FALSE(realtime({"--no-realtime"}, "false"));
    EXPECT_FALSE(realtime({}, "true"));
}

TEST(CommandLine, ProcessOptionsAreRead) {
    const auto all = parsed(
        {"--check-config", "--console-log-level", "debug", "-r", "15888", "--socket", "/run/x.sock"}
    );
    EXPECT_EQ(all.action, Action::check_config);
    EXPECT_EQ(all.log_level, LogLevel::debug);
    EXPECT_EQ(all.rpc_portal->to_string(), "127.0.0.1:15888");
    EXPECT_EQ(all.socket, "/run/x.sock");
    EXPECT_EQ(parsed({"-r", "0.0.0.0:1"}).rpc_portal->to_string(), "0.0.0.0:1");
    EXPECT_EQ(refusal({"-r", "nowhere"}), "--rpc-portal: must be a port or an address with one");
    EXPECT_EQ(
        refusal({"--log-level", "loud"}),
        "--console-log-level: must be off, error, warn, info, debug or trace"
    );
    EXPECT_EQ(parsed({"-V"}).action, Action::show_version);
    EXPECT_EQ(parsed({"-V"}).text, "selvaged 0.1.0\n");
    const auto help = parsed({"--help"});
    EXPECT_EQ(help.action, Action::show_help);
    EXPECT_NE(help.text.find("--network-name"), std::string::npos);
    EXPECT_NE(help.text.find("selvaged -c home.toml"), std::string::npos);
    EXPECT_EQ(help.text.find("--vpn-portal"), std::string::npos);
}

TEST(Metrics, AFileSwitchesThemOnForLoopbackUnlessItSaysMore) {
    const auto local = parse_toml("metrics.listen = \"9100\"\n", "f");
    ASSERT_TRUE(local) << local.error().message();
    EXPECT_EQ(local->metrics->to_string(), "127.0.0.1:9100");
    EXPECT_FALSE(parse_toml("", "f")->metrics);
    const std::string wide = "metrics.listen = \"0.0.0.0:9100\"\n";
    const auto refused = parse_toml(wide, "f");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("metrics.listen"), std::string::npos);
    EXPECT_NE(refused.error().message().find("for_all"), std::string::npos);
    EXPECT_TRUE(parse_toml(wide + "metrics.for_all = true\n", "f"));
    EXPECT_FALSE(parse_toml("metrics.listen = \"here\"\n", "f"));
    EXPECT_FALSE(parse_toml("metrics.port = 9100\n", "f"));
}

}  // namespace
}  // namespace selvage::config
