// TLS, the Unix socket, the pool: what a server has beside its one plain thread.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include "mitu/http/server.hpp"

namespace mitu::http {
namespace {

constexpr std::string_view get_hello =
    "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A directory of its own, removed with everything in it.
class Directory {
public:
    Directory() {
        std::string pattern = testing::TempDir() + "mitu-http-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

/// Writes a key and a certificate that it signed itself.
void write_certificate(const TlsFiles& files, const char* name) {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3'600);
    X509_set_pubkey(certificate, key);
    X509_NAME* const subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(files.certificate_file.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(files.key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

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

std::string exchange(int fd, std::string_view request) {
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string all;
    char buffer[4'096];
    for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
        all.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return all;
}

/// A TLS connection; `name` is whom the server's certificate names.
struct TlsClient {
    explicit TlsClient(std::uint16_t port) : fd{dial(port)} {
        SSL_set_fd(ssl, fd);
        is_open = SSL_connect(ssl) == 1;
        if (!is_open) return;
        X509* const certificate = SSL_get1_peer_certificate(ssl);
        char text[64];
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                                  sizeof text);
        name = text;
        X509_free(certificate);
    }
    ~TlsClient() {
        SSL_free(ssl);
        SSL_CTX_free(context);
        ::close(fd);
    }
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;
    std::string get(std::string_view request = get_hello) const {
        SSL_write(ssl, request.data(), static_cast<int>(request.size()));
        std::string all;
        char buffer[4'096];
        for (int n = 0; (n = SSL_read(ssl, buffer, sizeof buffer)) > 0;) {
            all.append(buffer, static_cast<std::size_t>(n));
        }
        return all;
    }
    int fd;
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL* ssl = SSL_new(context);
    bool is_open = false;
    std::string name;
};

class ServerDoorsTest : public testing::Test {
protected:
    void start(ServerOptions options) {
        server.emplace(std::move(options));
        server->handle("GET", "/hello", [](const Request& request) {
            const Peer& peer = request.peer;
            return Response{200, "text/plain",
                            peer.address + (peer.is_loopback ? " loopback" : "") +
                                (peer.is_unix ? " unix" : "") + (peer.is_encrypted ? " tls" : "")};
        });
        const auto started = server->start();
        ASSERT_TRUE(started.has_value()) << started.error();
        port = *started;
    }
    Directory directory;
    TlsFiles files{directory / "cert.pem", directory / "key.pem"};
    std::optional<Server> server;
    std::uint16_t port = 0;
};

}  // namespace

TEST_F(ServerDoorsTest, speaks_tls_and_takes_new_certificates_for_new_connections) {
    write_certificate(files, "first");
    ServerOptions options;
    options.tls = files;
    start(options);
    const TlsClient old{port};
    EXPECT_EQ(old.name, "first");

    write_certificate(files, "second");
    ASSERT_TRUE(server->reload_tls().has_value());
    EXPECT_TRUE(old.get().ends_with("127.0.0.1 loopback tls"));  // not dropped
    const TlsClient fresh{port};
    EXPECT_EQ(fresh.name, "second");
    EXPECT_TRUE(fresh.get().ends_with("127.0.0.1 loopback tls"));
}

TEST_F(ServerDoorsTest, a_bad_certificate_is_named_and_the_good_one_stays) {
    write_certificate(files, "good");
    ServerOptions options;
    options.tls = files;
    start(options);
    const TlsFiles other{directory / "other.pem", directory / "other_key.pem"};
    write_certificate(other, "other");
    std::filesystem::copy_file(other.key_file, files.key_file,
                               std::filesystem::copy_options::overwrite_existing);
    const auto mismatch = server->reload_tls();
    ASSERT_FALSE(mismatch.has_value());
    EXPECT_NE(mismatch.error().find(files.key_file), std::string::npos) << mismatch.error();
    std::ofstream{files.certificate_file} << "not a certificate";
    const auto nonsense = server->reload_tls();
    ASSERT_FALSE(nonsense.has_value());
    EXPECT_NE(nonsense.error().find(files.certificate_file), std::string::npos);
    EXPECT_EQ(TlsClient{port}.name, "good");

    ServerOptions broken;
    broken.tls = TlsFiles{directory / "absent.pem", directory / "absent.pem"};
    const auto refused = Server{broken}.start();
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().find("absent.pem"), std::string::npos) << refused.error();
}

TEST_F(ServerDoorsTest, a_key_with_a_passphrase_needs_the_file_with_it) {
    write_certificate(files, "locked");
    {
        std::FILE* const in = std::fopen(files.key_file.c_str(), "r");
        EVP_PKEY* const key = PEM_read_PrivateKey(in, nullptr, nullptr, nullptr);
        std::fclose(in);
        std::FILE* const out = std::fopen(files.key_file.c_str(), "w");
        PEM_write_PKCS8PrivateKey(out, key, EVP_aes_256_cbc(), "sesame", 6, nullptr, nullptr);
        std::fclose(out);
        EVP_PKEY_free(key);
    }
    ServerOptions options;
    options.tls = files;
    const auto problem = [&] {
        const auto started = Server{options}.start();
        return started ? "it started" : started.error();
    };
    EXPECT_NE(problem().find("without a passphrase (or with key_password_file)"),
              std::string::npos);
    options.tls->key_password_file = directory / "password";
    EXPECT_NE(problem().find("key password"), std::string::npos);
    std::ofstream{options.tls->key_password_file} << "wrong\n";
    EXPECT_NE(problem().find("what it is encrypted with"), std::string::npos);
    std::ofstream{options.tls->key_password_file} << "sesame\n";
    start(options);
    EXPECT_EQ(TlsClient{port}.name, "locked");
}

TEST_F(ServerDoorsTest, does_not_answer_plain_http_on_a_tls_port) {
    write_certificate(files, "x");
    ServerOptions options;
    options.tls = files;
    start(options);
    EXPECT_EQ(exchange(dial(port), get_hello).find("HTTP/1.1 200"), std::string::npos);
    EXPECT_TRUE(TlsClient{port}.is_open);
}

TEST_F(ServerDoorsTest, a_client_without_the_certificate_asked_for_gets_nothing) {
    write_certificate(files, "x");
    ServerOptions options;
    options.tls = files;
    options.tls->client_ca_file = files.certificate_file;
    start(options);
    EXPECT_EQ(TlsClient{port}.get(), "");
}

TEST_F(ServerDoorsTest, the_unix_socket_belongs_to_its_owner_alone_and_goes_with_the_server) {
    ServerOptions options;
    options.unix_path = directory / "api.sock";
    start(options);
    struct stat there{};
    ASSERT_EQ(::stat(options.unix_path.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777, 0600u);
    const auto connect = [&] {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        options.unix_path.copy(to.sun_path, sizeof to.sun_path - 1);
        EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
        return fd;
    };
    EXPECT_TRUE(exchange(connect(), get_hello).ends_with("unix unix"));

    Server second{options};
    const auto taken = second.start();
    ASSERT_FALSE(taken.has_value());
    EXPECT_NE(taken.error().find(options.unix_path), std::string::npos);
    EXPECT_TRUE(exchange(connect(), get_hello).ends_with("unix unix"));  // still the first one's

    server.reset();
    EXPECT_NE(::stat(options.unix_path.c_str(), &there), 0);
}

TEST_F(ServerDoorsTest, strangers_who_hold_every_connection_do_not_keep_the_owner_out) {
    ServerOptions options;
    options.unix_path = directory / "api.sock";
    options.connections_max = 2;
    start(options);
    const std::string_view begun = "GET /hello HTTP/1.1\r\n";
    const int held[] = {dial(port), dial(port)};
    for (const int fd : held) EXPECT_EQ(::send(fd, begun.data(), begun.size(), MSG_NOSIGNAL), 21);
    const std::string refused = exchange(dial(port), "");
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503")) << refused;

    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    options.unix_path.copy(to.sun_path, sizeof to.sun_path - 1);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    EXPECT_TRUE(exchange(fd, get_hello).ends_with("unix unix"));
    for (const int one : held) ::close(one);
}

TEST_F(ServerDoorsTest, what_is_left_of_a_server_that_died_is_in_nobodys_way) {
    ServerOptions options;
    options.unix_path = directory / "api.sock";
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    options.unix_path.copy(to.sun_path, sizeof to.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    ::close(fd);  // nobody listens, the file stays
    start(options);

    ServerOptions occupied;
    occupied.unix_path = directory / "a_file";
    std::ofstream{occupied.unix_path} << "precious";
    EXPECT_FALSE(Server{occupied}.start().has_value());
    EXPECT_TRUE(std::filesystem::exists(occupied.unix_path));
}

TEST_F(ServerDoorsTest, what_waits_on_the_pool_holds_up_nobody_else) {
    std::mutex mutex;
    std::condition_variable changed;
    int running = 0;
    bool may_end = false;
    ServerOptions options;
    options.pool_threads = 2;
    options.pool_waiting_max = 1;
    server.emplace(options);
    server->handle(
        "GET", "/slow/{name}",
        [&](const Request& request) {
            std::unique_lock lock{mutex};
            ++running;
            changed.notify_all();
            changed.wait(lock, [&] { return may_end; });
            return Response{200,
                            "text/plain",
                            std::string{request.param("name")},
                            {{"X-Seen", std::string{request.header("x-one").value_or("none")}},
                             {"X-Split", "a\r\nSet-Cookie: b"}}};
        },
        Runs::on_pool);
    server->handle("GET", "/quick", [](const Request&) { return Response{}; });
    server->set_error_answer([](unsigned status, std::string_view what, std::string_view path) {
        return Response{status, "application/json",
                        "{\"" + std::string{what} + "\":\"" + std::string{path} + "\"}"};
    });
    const auto started = server->start();
    ASSERT_TRUE(started.has_value());
    const auto slow = [&](const char* name) {
        const int fd = dial(*started);
        const std::string request = "GET /slow/" + std::string{name} +
                                    " HTTP/1.1\r\nHost: x\r\nX-ONE: 1\r\nConnection: close\r\n\r\n";
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        return fd;
    };
    const int first = slow("a%2Fb");
    const int second = slow("b");
    {
        std::unique_lock lock{mutex};
        changed.wait(lock, [&] { return running == 2; });
    }
    // One may wait: it was there before the quick one, which has its answer although nothing ends.
    const int third = slow("c");
    const std::string quick =
        exchange(dial(*started), "GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(quick.starts_with("HTTP/1.1 200 ")) << quick;
    const std::string busy = exchange(slow("d"), "");  // one too many
    EXPECT_TRUE(busy.starts_with("HTTP/1.1 503 ")) << busy;
    EXPECT_NE(busy.find("Retry-After: 1\r\n"), std::string::npos);
    EXPECT_TRUE(busy.ends_with("\":\"/slow/d\"}")) << busy;
    {
        const std::lock_guard lock{mutex};
        may_end = true;
    }
    changed.notify_all();
    const std::string answer = exchange(first, "");
    EXPECT_TRUE(answer.ends_with("\r\n\r\na/b")) << answer;
    EXPECT_NE(answer.find("X-Seen: 1\r\n"), std::string::npos);
    EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos);
    EXPECT_TRUE(exchange(second, "").ends_with("\r\n\r\nb"));
    EXPECT_TRUE(exchange(third, "").ends_with("\r\n\r\nc"));
    EXPECT_TRUE(exchange(dial(*started), "GET /no HTTP/1.1\r\nConnection: close\r\n\r\n")
                    .ends_with("{\"not found\":\"/no\"}"));
}

}  // namespace mitu::http
