// selvage proxy: the environment variables that send programs through a proxy of the mesh, printed
// for a shell to evaluate, or set for one command.
//
//   eval "$(selvage proxy)"              this node's proxy, where listen_host offers it
//   selvage proxy -- curl http://intranet/
//   selvage proxy --via 10.144.1.2:1080  another node's, reached through this host's TUN device
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "command.h"
#include "selvage_api.pb.h"

namespace selvage::app {
namespace {

namespace api = ::selvage::api;

class Proxy final : public Command {
public:
    explicit Proxy(CLI::App& arguments) {
        arguments.add_option("--via", via_, "ADDRESS:PORT of another proxy");
        arguments.add_option("command", command_, "after --: run this with the variables set");
    }

    rt::Task<Result<int>> run(CommandContext& context) override {
        std::string at = via_;
        if (at.empty()) {
            auto services = co_await context.client.call<api::ListServicesResponse>(
                "SelvageRpc", 2, api::ListServicesRequest{}
            );
            if (!services) co_return services.error();
            for (const auto& service : services->services()) {
                if (service.name() == "proxy" && service.enabled()) at = service.listen_host();
            }
            if (at.empty()) {
                co_return Error(
                    Errc::not_found,
                    "this node offers no proxy to this host; set service.proxy.listen_host, or "
                    "name another proxy with --via"
                );
            }
        }
        auto endpoint = Endpoint::parse(at);
        if (!endpoint) co_return Error(Errc::bad_argument, "--via is ADDRESS:PORT");
        if (command_.empty()) {
            print(variables_for(*endpoint));
            co_return 0;
        }
        co_return run_command(*endpoint);
    }

private:
    // Both spellings: programs do not agree on one.
    static constexpr const char* kHttp[] = {
        "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"
    };
    static constexpr const char* kAll[] = {"all_proxy", "ALL_PROXY"};

    static std::string http_url(const Endpoint& at) { return "http://" + at.to_string(); }
    // "h": names are resolved at the proxy.
    static std::string socks_url(const Endpoint& at) { return "socks5h://" + at.to_string(); }

    static std::string variables_for(const Endpoint& at) {
        std::string out;
        for (const char* name : kHttp)
            out += fmt::format("export {}='{}'\n", name, http_url(at));
        for (const char* name : kAll)
            out += fmt::format("export {}='{}'\n", name, socks_url(at));
        return out;
    }

    Result<int> run_command(const Endpoint& at) {
        for (const char* name : kHttp)
            ::setenv(name, http_url(at).c_str(), 1);
        for (const char* name : kAll)
            ::setenv(name, socks_url(at).c_str(), 1);
        std::vector<char*> words;
        for (std::string& word : command_)
            words.push_back(word.data());
        words.push_back(nullptr);
        ::execvp(words.front(), words.data());
        return Error(std::error_code(errno, std::generic_category()), "run " + command_.front());
    }

    std::string via_;
    std::vector<std::string> command_;
};

}  // namespace

const CommandSpec proxy_command{
    .name = "proxy",
    .summary = "sends programs through a proxy of the mesh",
    .make = [](CLI::App& arguments) -> std::unique_ptr<Command> {
        return std::make_unique<Proxy>(arguments);
    },
};

}  // namespace selvage::app
