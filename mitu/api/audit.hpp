#pragma once
// AuditLog: who has changed what, or has tried to.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"

namespace mitu::api {

struct AuditEntry {
    WallTime when;
    std::string who;        // whom they showed or claimed to be; empty: nobody
    std::string_view via;   // password, session, key, unix_socket, loopback, nothing
    std::string from;       // address
    std::string operation;  // of the OpenAPI document: "kick_client"
    std::vector<std::pair<std::string, std::string>> what{};  // tenant, client_id, topic, ...
    unsigned status = 0;
    unsigned code = 0;  // of the error; 0: done
};

/// One line of JSON, without its line end. Texts are cut to what a line should bear.
[[nodiscard]] std::string to_json(const AuditEntry& entry);

class AuditLog {
public:
    virtual ~AuditLog() = default;
    /// Threading  any thread.
    virtual void record(const AuditEntry& entry) = 0;
};

struct AuditFileOptions {
    std::string path;
    std::uint64_t bytes_max = 16u << 20;  // of one file
    std::uint32_t files_max = 8;          // PATH, PATH.1 (the last one before it), ...
};

/// Appends to a file of mode 0600. When it is full it becomes PATH.1, what was PATH.1 becomes
/// PATH.2, and so on; the oldest goes.
/// Errors  a line that cannot be written is told to the process log, and lost.
class AuditFile final : public AuditLog {
public:
    /// Errors  a sentence: the file, why, what to do.
    [[nodiscard]] static Result<std::unique_ptr<AuditFile>, std::string> open(
        AuditFileOptions options);
    ~AuditFile() override;
    AuditFile(const AuditFile&) = delete;
    AuditFile& operator=(const AuditFile&) = delete;

    void record(const AuditEntry& entry) override MITU_EXCLUDES(mutex_);

private:
    explicit AuditFile(AuditFileOptions options) : options_{std::move(options)} {}
    [[nodiscard]] bool open_file() MITU_REQUIRES(mutex_);
    void rotate() MITU_REQUIRES(mutex_);

    AuditFileOptions options_;
    Mutex mutex_;
    int file_ MITU_GUARDED_BY(mutex_) = -1;
    std::uint64_t bytes_ MITU_GUARDED_BY(mutex_) = 0;
};

}  // namespace mitu::api
