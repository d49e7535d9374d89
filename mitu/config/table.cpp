// The top of the table, and the sections that are small.
#include "mitu/config/table.hpp"

#include "mitu/config/key_make.hpp"

namespace mitu::config {
namespace {

constexpr std::uint64_t store_bytes_max = std::uint64_t{1} << 44;

}  // namespace

template <>
const Shape& shape_of<Node>() {
    static const Node defaults;
    static const Shape shape{
        {},
        {
            key("data", &Node::data,
                "Directory of what the server keeps: registry, `managed.yaml`. Relative paths, "
                "here "
                "and elsewhere, begin where the server was started.")
                .each(filled_rule),
            key("shards", &Node::shards, "Threads that serve clients; 0: one per core.")
                .range(0, 256)
                .unit_of("threads"),
            key("io", &Node::io,
                "How the kernel is asked: `epoll`, `io_uring` (Linux 6.1), or `auto`: io_uring "
                "where the kernel allows it."),
            key("pin", &Node::pin,
                "Keep each shard on a processor: `never`, `by_node` (if there are several NUMA "
                "nodes) or `always`."),
            key("huge_pages", &Node::huge_pages, "Ask the kernel for huge pages for messages."),
            key("user", &Node::user,
                "User that a server started as root becomes once it listens and has read its keys; "
                "`root`: it knowingly stays root.")
                .if_none("stays who it is; as root, with a warning"),
            key("group", &Node::group, "Group that it becomes then; with `user`.")
                .if_none("the user's"),
            key("core_dumps", &Node::core_dumps,
                "Let a crash write a core; it holds keys and passwords."),
            key("port_file", &Node::port_file,
                "Written once the server serves: {\"mqtt\":PORT,\"http\":PORT}.")
                .if_none("not written"),
            key("login_threads", &Node::login_threads, "Threads that check passwords (argon2id).")
                .range(1, 64)
                .unit_of("threads"),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Log>() {
    static const Log defaults;
    static const Shape shape{
        {},
        {
            key("level", &Log::level, "The least important line that is written."),
            key("format", &Log::format,
                "`text` (for people on a terminal, else logfmt) or `json`."),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Policies>() {
    static const Policies defaults;
    static const Shape shape{
        {},
        {key("directory", &Policies::directory, "Policies (*.yaml) that overlay those compiled in.")
             .if_none("those compiled in")
             .file()},
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Registry>() {
    static const Registry defaults;
    static const Shape shape{{},
                             {key("file", &Registry::file, "Devices that may log in: YAML or CSV.")
                                  .if_none("`devices.csv` in `node.data`, if it exists")
                                  .file()},
                             &defaults};
    return shape;
}

template <>
const Shape& shape_of<Access>() {
    static const Access defaults;
    static const Shape shape{
        {},
        {
            key("acl_file", &Access::acl_file, "Rules in mosquitto's format.")
                .if_none("no file")
                .file()
                .live(),
            key("default", &Access::default_access,
                "Where no rule speaks: `deny`, or what the `policy` of the device allows.")
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<User>() {
    static const User defaults;
    static const Shape shape{
        "name",
        {
            key("name", &User::name, "User name of an MQTT client.")
                .each(filled_rule)
                .required()
                .live(),
            key("tenant", &User::tenant, "Whose the user is.").each(name_rule).live(),
            key("credential", &User::credential, "Hash of the password, argon2id in PHC notation.")
                .secret()
                .live(),
            key("scram_sha_256", &User::scram_sha_256,
                "Iterations, salt, stored and server key, for method `scram`.")
                .secret()
                .live(),
            key("class", &User::device_class, "Device class, which chooses the policy.")
                .each(name_rule)
                .live(),
            key("enabled", &User::enabled, "Off: the user is refused.").live(),
            key("revision", &User::revision,
                "Revision in which the API last changed the user; the API notes it.")
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<ApiTls>() {
    static const ApiTls defaults;
    static const Shape shape{
        {},
        {
            key("certificate", &ApiTls::certificate,
                "PEM file: the certificate, then its chain; read again when it changes.")
                .each(filled_rule)
                .required()
                .file(),
            key("key", &ApiTls::key, "PEM file of the private key.")
                .each(filled_rule)
                .required()
                .file(),
            key("key_password_file", &ApiTls::key_password_file,
                "A file whose first line is what the key is encrypted with.")
                .file(),
            key("minimum_version", &ApiTls::minimum_version,
                "The oldest TLS version that is spoken."),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Api>() {
    static const Api defaults;
    static const Shape shape{
        {},
        {
            key("bind", &Api::bind, "Where API, health and metrics are served; \"\" for none.")
                .each(tcp_bind_rule),
            key("tls", &Api::tls, "Speak HTTPS.").if_none("plain HTTP"),
            key("users_file", &Api::users_file, "Administrators, their roles and API keys.")
                .if_none("`api_users.json` in `node.data`")
                .file(),
            key("login_rate_per_minute", &Api::login_rate_per_minute,
                "Failed logins from one address, and for one user; more are refused (429).")
                .range(1, 10'000)
                .live(),
            key("audit_file", &Api::audit_file, "Who changed what, one JSON object a line.")
                .if_none("`audit.log` in `node.data`"),
            key("token_ttl", &Api::token_ttl, "How long a login lasts.")
                .range(60'000, std::uint64_t{30} * 86'400'000)
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Metrics>() {
    static const Metrics defaults;
    static const Shape shape{
        {},
        {
            key("enabled", &Metrics::enabled, "Serve `/metrics` for Prometheus."),
            key("bind", &Metrics::bind, "An address of their own.")
                .each(tcp_bind_rule)
                .if_none("the API's"),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Store>() {
    static const Store defaults;
    static const Shape shape{
        {},
        {
            key("durability", &Store::durability,
                "When sessions, their QoS 1 and 2 messages, retained messages and wills are "
                "acknowledged: `sync`, when they are on the disk; `async`, when they are on their "
                "way there; `none`: nothing outlives the process. They are kept in `store` in "
                "`node.data`."),
            key("async_delay", &Store::async_delay,
                "What a loss of power takes from tenants with `async`, at most.")
                .range(1, 10'000),
            key("cache_bytes", &Store::cache_bytes, "Memory for what is read again.")
                .as_size()
                .range(1u << 20, store_bytes_max),
            key("write_buffer_bytes", &Store::write_buffer_bytes,
                "Memory for what is not yet in files of its own.")
                .as_size()
                .range(1u << 20, store_bytes_max),
            key("free_bytes_min", &Store::free_bytes_min,
                "With less free space on the disk nothing new is taken (0x97); what is "
                "acknowledged or ends still is. Half of it, 32MiB at most, lies in a file that a "
                "start on a full disk gives up.")
                .as_size()
                .range(0, store_bytes_max),
            key("open_files_max", &Store::open_files_max, "Files of the store that are open.")
                .range(32, 65'536)
                .unit_of("files"),
            key("will_grace", &Store::will_grace,
                "After a restart clients without a kept session have so long to come back before "
                "their will is published.")
                .range(1'000, 3'600'000),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<SysTopics>() {
    static const SysTopics defaults;
    static const Shape shape{
        {},
        {
            key("enabled", &SysTopics::enabled, "Publish the `$SYS` tree, as mosquitto does.")
                .live(),
            key("interval", &SysTopics::interval, "How often its values are published.")
                .range(1'000, 3'600'000)
                .live(),
        },
        &defaults};
    return shape;
}

template <>
const Shape& shape_of<Config>() {
    static const Config defaults;
    static const Shape shape{
        {},
        {
            key("node", &Config::node, "The process and its machine."),
            key("log", &Config::log, "What is written to standard error."),
            key("policies", &Config::policies, "What devices may do and should be."),
            key("registry", &Config::registry, "Which devices there are."),
            key("listeners", &Config::listeners, "Where clients come in."),
            key("authentication", &Config::authentication, "How clients prove who they are."),
            key("access", &Config::access, "Who may publish and subscribe what, beside policies."),
            key("tenants", &Config::tenants,
                "Tenants, beside those that policies declare; `default` is always there.")
                .live(),
            key("users", &Config::users, "The built-in user database; the API adds to it.")
                .managed()
                .live(),
            key("limits", &Config::limits, "Bounds of one client, and of the server."),
            key("memory", &Config::memory, "What is given up first when memory runs short."),
            key("flapping", &Config::flapping, "Clients that come and go all the time."),
            key("session_faults", &Config::session_faults,
                "Clients whose sessions break: by a limit of memory, or by a fault of the server."),
            key("bans", &Config::bans,
                "Who may not come in; one of `client_id`, `user` and `address` each.")
                .managed()
                .live(),
            key("api", &Config::api, "HTTP: API, health, console."),
            key("metrics", &Config::metrics, "Figures for Prometheus."),
            key("store", &Config::store, "What outlives the process."),
            key("sys_topics", &Config::sys_topics, "Figures as MQTT topics."),
        },
        &defaults};
    return shape;
}

const Shape& root_shape() { return shape_of<Config>(); }

const Key* find_key(std::string_view path) {
    const Shape* shape = &root_shape();
    for (;;) {
        const std::size_t end = path.find('.');
        std::string_view name = path.substr(0, end);
        name = name.substr(0, name.find('['));
        const Key* found = shape->find(name);
        if (found == nullptr || end == std::string_view::npos) return found;
        // The names in a text_map are no keys, and may have dots.
        if (found->kind == Kind::text_map) return found;
        if (found->shape == nullptr) return nullptr;
        shape = &found->shape();
        path.remove_prefix(end + 1);
    }
}

}  // namespace mitu::config
