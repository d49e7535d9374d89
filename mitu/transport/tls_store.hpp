#pragma once
// The certificates, keys, CAs and CRLs of a listener: loaded from files, and loaded again when the
// files change, while connections go on.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/mutex.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/transport/tls_settings.hpp"

namespace mitu::transport {

class TlsContexts;  // an immutable snapshot, ready for handshakes (tls_contexts.hpp)
class TicketKeys;

/// For people and metrics: what is in use now.
struct CertificateStatus {
    std::string certificate_file;
    std::vector<std::string> server_names;
    std::string subject;
    WallTime not_before;
    WallTime not_after;
};

/// Owns the snapshot that new handshakes use. A handshake that is under way keeps the one that it
/// began with; an established connection needs none.
/// Threading  any thread.
class TlsStore {
public:
    /// Errors  one sentence: file, cause, remedy.
    [[nodiscard]] static Result<std::shared_ptr<TlsStore>, std::string> load(TlsSettings settings,
                                                                             WallTime now);
    ~TlsStore();
    TlsStore(const TlsStore&) = delete;
    TlsStore& operator=(const TlsStore&) = delete;

    enum class Reload : std::uint8_t {
        unchanged,
        replaced,  // new handshakes use what the files say now
        refused,   // `problem` says why; all stays as it was until a file changes again
    };
    struct ReloadResult {
        Reload outcome = Reload::unchanged;
        std::string problem;
    };
    /// Looks at the files (time of change, size, inode) and loads them if one differs. A change is
    /// loaded once it has lasted from one call to the next: a file half written is not read, and
    /// a certificate is not taken before its key. Also rotates ticket keys when they are old.
    /// To be called about once a second by whoever hosts the store.
    ReloadResult refresh(WallTime now);
    /// Loads the files whether or not they have changed.
    ReloadResult reload(WallTime now);

    [[nodiscard]] std::shared_ptr<const TlsContexts> contexts() const;
    /// Which certificate answers to `server_name`: its index in the settings; 0 also for unknown
    /// names. A bounded number, unlike the names that clients think of.
    [[nodiscard]] std::uint32_t certificate_of(std::string_view server_name) const;
    [[nodiscard]] std::vector<CertificateStatus> certificates() const;
    /// What works but should be looked at: a certificate that has expired, or is not valid yet; a
    /// CRL past its next update, with which every client of that issuer is refused.
    [[nodiscard]] std::vector<std::string> warnings() const;

private:
    struct FileState {
        std::int64_t changed_ns = 0;
        std::int64_t bytes = -1;  // -1: cannot be looked at
        std::uint64_t inode = 0;
        auto operator<=>(const FileState&) const = default;
    };

    TlsStore(TlsSettings settings, WallTime now);
    [[nodiscard]] std::vector<FileState> look_at_files() const;

    const TlsSettings settings_;
    const std::vector<std::string> files_;
    const std::shared_ptr<TicketKeys> tickets_;

    mutable Mutex mutex_;
    std::shared_ptr<const TlsContexts> contexts_ MITU_GUARDED_BY(mutex_);
    std::vector<FileState> loaded_ MITU_GUARDED_BY(mutex_);
    std::vector<FileState> seen_ MITU_GUARDED_BY(mutex_);  // by the last refresh()
    WallTime rotate_at_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::transport
