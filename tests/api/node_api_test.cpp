// A whole node in this process, asked over real HTTP, with MQTT clients on real sockets.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "mitu/mqtt/encode.hpp"
#include "mitu/node/node.hpp"
#include "mitu/node/testing.hpp"

namespace mitu::node {
namespace {

using Json = nlohmann::json;

int dial(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval guard{20, 0};  // a test that hangs fails instead
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return fd;
}

void write_all(int fd, std::string_view text) {
    EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
}

struct HttpAnswer {
    int status = 0;
    Json body;
};

HttpAnswer exchange(int fd, const std::string& method, const std::string& path,
                    const std::string& body) {
    write_all(fd, fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                              "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                              method, path, body.size(), body));
    std::string all;
    char buffer[4'096];
    for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
        all.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(fd);
    HttpAnswer answer;
    if (all.size() < 12) return answer;
    answer.status = std::stoi(all.substr(9, 3));
    const auto end = all.find("\r\n\r\n");
    answer.body = Json::parse(all.substr(end + 4), nullptr, false);
    return answer;
}

/// Connected when it is there, and gone when it goes.
class MqttClient {
public:
    MqttClient(std::uint16_t port, const std::string& id) : fd_{dial(port)} {
        mqtt::Connect connect;
        connect.client_id = id;
        send(connect);
        EXPECT_EQ(read_packet().at(0), 0x20);
    }
    ~MqttClient() { ::close(fd_); }
    MqttClient(const MqttClient&) = delete;
    MqttClient& operator=(const MqttClient&) = delete;

    void subscribe(std::initializer_list<const char*> filters) {
        Bytes list;
        mqtt::SubscriptionOptions options;
        options.qos = mqtt::QoS::at_least_once;
        for (const char* const filter : filters) {
            EXPECT_TRUE(mqtt::append_subscription(list, filter, options));
        }
        mqtt::Subscribe subscribe;
        subscribe.packet_id = 1;
        subscribe.filters.encoded = list;
        send(subscribe);
        EXPECT_EQ(read_packet().at(0), 0x90);
    }
    /// Whole, from its first byte on; empty: the server has closed.
    Bytes read_packet() {
        Bytes packet;
        std::uint8_t byte = 0;
        std::size_t left = 2;
        while (packet.size() < 2 || left != 0) {
            if (::recv(fd_, &byte, 1, 0) != 1) return {};
            packet.push_back(byte);
            if (packet.size() == 2) {
                left = byte;  // small packets: one byte of length
            } else if (packet.size() > 2) {
                --left;
            }
        }
        return packet;
    }

private:
    void send(const mqtt::Packet& packet) {
        Bytes bytes(mqtt::encoded_size(packet, mqtt::ProtocolVersion::v5));
        EXPECT_EQ(mqtt::encode(packet, mqtt::ProtocolVersion::v5, bytes), bytes.size());
        write_all(fd_, as_text(bytes));
    }
    int fd_;
};

class NodeApiTest : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "mitu-node-XXXXXX";
        directory = ::mkdtemp(pattern.data());
        start();
    }
    void TearDown() override {
        node.reset();
        std::filesystem::remove_all(directory);
    }
    void start() {
        NodeOptions options;
        options.listen = {"tcp://127.0.0.1:0"};
        options.http = "127.0.0.1:0";
        options.shards = 3;
        options.pinning = Pinning::never;
        options.allow_anonymous = true;
        options.connections_wanted = 100;
        options.api.users_file = directory + "/api_users.json";
        options.api.audit_file = directory + "/audit.log";
        options.api.unix_socket = directory + "/api.sock";
        auto created = Node::create(options, make_catalog());
        ASSERT_TRUE(created.has_value()) << created.error();
        node = std::move(*created);
    }
    /// Through the Unix socket: as an administrator.
    HttpAnswer ask(const std::string& method, const std::string& path,
                   const std::string& body = {}) const {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval guard{20, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        (directory + "/api.sock").copy(to.sun_path, sizeof to.sun_path - 1);
        EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
        return exchange(fd, method, "/api/v1" + path, body);
    }
    HttpAnswer ask_tcp(const std::string& method, const std::string& path,
                       const std::string& body = {}) const {
        return exchange(dial(node->ports().http), method, path, body);
    }
    /// What a listing says under `key`, through all its pages.
    std::multiset<std::string> list(const std::string& path, const char* key) const {
        std::multiset<std::string> all;
        std::string cursor;
        do {
            const auto page = ask("GET", path + "limit=2&cursor=" + cursor);
            EXPECT_EQ(page.status, 200) << page.body;
            if (page.status != 200) return all;
            EXPECT_TRUE(page.body["silent_shards"].empty());
            for (const Json& item : page.body["items"]) all.insert(item[key].get<std::string>());
            cursor = page.body["next_cursor"].is_null()
                         ? ""
                         : page.body["next_cursor"].get<std::string>();
        } while (!cursor.empty());
        return all;
    }

    std::string directory;
    std::string key;
    std::unique_ptr<Node> node;
};

}  // namespace

TEST_F(NodeApiTest, lists_and_shows_clients_of_all_shards_and_kicks_one) {
    const std::uint16_t port = node->ports().mqtt;
    MqttClient a{port, "a"};
    MqttClient b{port, "b/with slash"};
    MqttClient c{port, "c"};
    MqttClient d{port, "d"};
    const std::multiset<std::string> everybody{"a", "b/with slash", "c", "d"};
    EXPECT_EQ(list("/clients?", "client_id"), everybody);
    EXPECT_EQ(list("/clients?prefix=c&", "client_id"), (std::multiset<std::string>{"c"}));
    EXPECT_TRUE(list("/clients?tenant=acme&", "client_id").empty());

    b.subscribe({"t/+", "t/1/2/3", "$share/g/#"});
    const auto shown = ask("GET", "/clients/default/b%2Fwith%20slash");
    ASSERT_EQ(shown.status, 200) << shown.body;
    EXPECT_EQ(shown.body["connected"], true);
    EXPECT_EQ(shown.body["subscriptions"], 3);
    EXPECT_EQ(shown.body["protocol_version"], "5.0");
    EXPECT_TRUE(shown.body["peer"].get<std::string>().starts_with("127.0.0.1:"));
    const auto subscriptions = ask("GET", "/clients/default/b%2Fwith%20slash/subscriptions");
    ASSERT_EQ(subscriptions.body["items"].size(), 3u);
    for (const Json& item : subscriptions.body["items"]) EXPECT_EQ(item["qos"], 1) << item;
    EXPECT_EQ(list("/subscriptions?", "filter"),
              (std::multiset<std::string>{"$share/g/#", "t/+", "t/1/2/3"}));
    EXPECT_EQ(list("/subscriptions?", "client_id").count("b/with slash"), 3u);
    EXPECT_EQ(list("/subscriptions?topic=t/9&tenant=default&", "filter"),
              (std::multiset<std::string>{"$share/g/#", "t/+"}));
    EXPECT_EQ(list("/topics?", "topic"), (std::multiset<std::string>{"t/1/2/3"}));

    EXPECT_EQ(ask("DELETE", "/clients/default/c").status, 204);
    const Bytes goodbye = c.read_packet();
    ASSERT_GE(goodbye.size(), 3u);
    EXPECT_EQ(goodbye[0], 0xE0);
    EXPECT_EQ(goodbye[2], 0x98);  // administrative action
    EXPECT_EQ(ask("DELETE", "/clients/default/c").status, 404);
    EXPECT_EQ(ask("GET", "/clients/default/nobody").status, 404);
    EXPECT_EQ(ask("GET", "/clients/borealis/a").status, 404);
}

TEST_F(NodeApiTest, publishes_and_retains_to_whatever_shard) {
    MqttClient client{node->ports().mqtt, "c"};
    client.subscribe({"#"});
    const auto published = ask("POST", "/publish", R"({"topic":"x/1","payload":"hi","qos":1})");
    ASSERT_EQ(published.status, 200) << published.body;
    EXPECT_EQ(published.body["recipients"], 1);
    const Bytes packet = client.read_packet();
    EXPECT_EQ(packet.at(0) & 0xF0, 0x30);
    EXPECT_TRUE(as_text(packet).ends_with("hi"));

    for (int i = 0; i < 7; ++i) {
        const auto put = ask("PUT", fmt::format("/retained/default/r/{}/x", i),
                             R"({"payload":"v","expiry_s":60,"content_type":"text/x",
                                "user_properties":[{"name":"k","value":"w"}]})");
        EXPECT_EQ(put.status, 200) << put.body;
    }
    EXPECT_EQ(list("/retained?filter=r/%2B/x&", "topic").size(), 7u);
    EXPECT_EQ(list("/topics?tenant=default&", "topic").size(), 7u);
    const auto kept = ask("GET", "/retained/default/r/3/x");
    EXPECT_EQ(kept.body["payload"], "v");
    EXPECT_EQ(kept.body["content_type"], "text/x");
    EXPECT_EQ(kept.body["user_properties"][0]["value"], "w");
    EXPECT_LE(kept.body["expiry_s"].get<int>(), 60);
    EXPECT_EQ(ask("DELETE", "/retained/default/r/3/x").status, 204);
    EXPECT_EQ(ask("GET", "/retained/default/r/3/x").status, 404);
    EXPECT_EQ(ask("GET", "/retained/acme/r/4/x").status, 404);
    EXPECT_EQ(list("/retained?", "topic").size(), 6u);
}

TEST_F(NodeApiTest, four_traces_at_once_and_room_again_when_one_is_let_go) {
    const auto begin = [&] {
        const int fd = dial(node->ports().http);
        const std::string body = R"({"filter":"t/#","duration_s":60})";
        write_all(fd, fmt::format("POST /api/v1/trace HTTP/1.1\r\nHost: localhost\r\n"
                                  "Authorization: Bearer {}\r\nContent-Type: application/json\r\n"
                                  "Content-Length: {}\r\n\r\n{}",
                                  key, body.size(), body));
        std::string head(12, '\0');
        EXPECT_EQ(::recv(fd, head.data(), head.size(), MSG_WAITALL), 12);
        return std::pair{fd, head.substr(9)};
    };
    const auto made = ask("POST", "/api-keys", R"({"name":"k","role":"operator"})");
    ASSERT_EQ(made.status, 201) << made.body;
    key = made.body["secret"];
    std::vector<int> open;
    for (int i = 0; i < 4; ++i) {
        const auto [fd, status] = begin();
        EXPECT_EQ(status, "200");
        open.push_back(fd);
    }
    const auto [refused, status] = begin();
    EXPECT_EQ(status, "429");
    ::close(refused);
    ::close(open.back());
    open.pop_back();
    // What is told of the others goes on; the server finds out when it writes to the one that went.
    MqttClient client{node->ports().mqtt, "c"};
    for (;;) {
        EXPECT_EQ(ask("POST", "/publish", R"({"topic":"t/1","payload":"x"})").status, 200);
        const auto [fd, again] = begin();
        ::close(fd);
        if (again == "200") break;
    }
    for (const int fd : open) ::close(fd);
}

TEST_F(NodeApiTest, metrics_show_tenants_to_those_who_may_see_them) {
    MqttClient client{node->ports().mqtt, "c"};
    const auto metrics = [&](const std::string& authorization) {
        const int fd = dial(node->ports().http);
        write_all(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
                          authorization + "\r\n");
        std::string all;
        char buffer[4'096];
        for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
            all.append(buffer, static_cast<std::size_t>(n));
        }
        ::close(fd);
        return all;
    };
    const std::string own = R"(mitu_tenant_used{tenant="default")";
    EXPECT_NE(metrics("").find(own), std::string::npos) << "nobody is set up";
    const auto all = ask("POST", "/api-keys", R"({"name":"all","role":"viewer"})");
    const auto one = ask("POST", "/api-keys", R"({"name":"one","role":"viewer","tenant":"acme"})");
    ASSERT_EQ(one.status, 201) << one.body;
    const auto bearer = [](const HttpAnswer& made) {
        return "Authorization: Bearer " + made.body["secret"].get<std::string>() + "\r\n";
    };
    EXPECT_NE(metrics(bearer(all)).find(own), std::string::npos);
    EXPECT_EQ(metrics(bearer(one)).find(own), std::string::npos);
    EXPECT_EQ(metrics(bearer(one)).find("mitu_connections"), std::string::npos);
    const std::string without = metrics("");
    EXPECT_EQ(without.find("tenant="), std::string::npos);
    EXPECT_NE(without.find("mitu_connections"), std::string::npos);
}

TEST_F(NodeApiTest, what_was_there_before_is_there_still) {
    EXPECT_EQ(ask_tcp("GET", "/healthz").status, 200);
    EXPECT_EQ(ask_tcp("GET", "/readyz").status, 200);
    EXPECT_EQ(ask_tcp("GET", "/metrics").status, 200);
    EXPECT_TRUE(ask_tcp("GET", "/api/v1/overview").body.contains("resident_bytes"));
    EXPECT_TRUE(ask_tcp("GET", "/api/v1/fleet/status").body.contains("groups"));
    EXPECT_EQ(ask_tcp("GET", "/api/v1/nothing").body["code"], 1200);
    EXPECT_EQ(ask_tcp("PUT", "/api/v1/clients").body["code"], 1209);
}

TEST_F(NodeApiTest, accounts_outlive_the_process_and_the_audit_log_tells) {
    EXPECT_EQ(ask_tcp("GET", "/api/v1/clients").status, 200);  // nobody is set up
    EXPECT_EQ(ask_tcp("POST", "/api/v1/publish", R"({"topic":"a"})").status, 403);
    ASSERT_EQ(
        ask("POST", "/api-users", R"({"name":"me","role":"admin","password":"12345678"})").status,
        201);
    EXPECT_EQ(ask_tcp("GET", "/api/v1/clients").status, 401);
    node.reset();
    start();
    EXPECT_EQ(ask_tcp("GET", "/api/v1/clients").status, 401);
    const auto session = ask_tcp("POST", "/api/v1/login", R"({"name":"me","password":"12345678"})");
    ASSERT_EQ(session.status, 200) << session.body;
    EXPECT_EQ(ask_tcp("POST", "/api/v1/login", R"({"name":"me","password":"wrong"})").status, 401);

    std::ifstream file{directory + "/audit.log"};
    std::vector<std::string> operations;
    for (std::string line; std::getline(file, line);) {
        operations.push_back(Json::parse(line)["operation"]);
    }
    EXPECT_EQ(operations,
              (std::vector<std::string>{"publish", "add_api_user", "log_in", "log_in"}));
    std::ifstream users{directory + "/api_users.json"};
    const std::string text{std::istreambuf_iterator<char>{users}, {}};
    EXPECT_EQ(text.find("12345678"), std::string::npos);
}

TEST_F(NodeApiTest, a_node_does_not_start_over_a_broken_file_of_accounts) {
    node.reset();
    std::ofstream{directory + "/api_users.json"} << "{";
    NodeOptions options;
    options.listen = {"tcp://127.0.0.1:0"};
    options.http = "127.0.0.1:0";
    options.shards = 1;
    options.pinning = Pinning::never;
    options.connections_wanted = 100;
    options.api.users_file = directory + "/api_users.json";
    const auto refused = Node::create(options, make_catalog());
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().find("api_users.json"), std::string::npos) << refused.error();
}

}  // namespace mitu::node
