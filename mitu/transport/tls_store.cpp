#include "mitu/transport/tls_store.hpp"

#include <sys/stat.h>

#include <utility>

#include "mitu/transport/tls_contexts.hpp"

namespace mitu::transport {
namespace {

std::vector<std::string> all_files(const TlsSettings& settings) {
    std::vector<std::string> files;
    for (const CertificateFiles& certificate : settings.certificates) {
        files.push_back(certificate.certificate_file);
        files.push_back(certificate.key_file);
        if (!certificate.key_password_file.empty()) {
            files.push_back(certificate.key_password_file);
        }
    }
    files.insert(files.end(), settings.ca_files.begin(), settings.ca_files.end());
    files.insert(files.end(), settings.crl_files.begin(), settings.crl_files.end());
    return files;
}

}  // namespace

TlsStore::TlsStore(TlsSettings settings, WallTime now)
    : settings_{std::move(settings)},
      files_{all_files(settings_)},
      tickets_{std::make_shared<TicketKeys>()},
      rotate_at_{now.unix_ms + settings_.ticket_time_max.count_ms()} {}

TlsStore::~TlsStore() = default;

Result<std::shared_ptr<TlsStore>, std::string> TlsStore::load(TlsSettings settings, WallTime now) {
    const std::shared_ptr<TlsStore> store{new TlsStore{std::move(settings), now}};
    if (const ReloadResult result = store->reload(now); result.outcome == Reload::refused) {
        return std::unexpected(result.problem);
    }
    return store;
}

std::vector<TlsStore::FileState> TlsStore::look_at_files() const {
    std::vector<FileState> states;
    states.reserve(files_.size());
    for (const std::string& file : files_) {
        struct stat status{};
        FileState& state = states.emplace_back();
        if (::stat(file.c_str(), &status) != 0) continue;
        state = {std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
                 status.st_size, status.st_ino};
    }
    return states;
}

TlsStore::ReloadResult TlsStore::refresh(WallTime now) {
    std::vector<FileState> states = look_at_files();
    {
        const MutexLock lock{mutex_};
        if (now >= rotate_at_) {
            rotate_at_ = {now.unix_ms + settings_.ticket_time_max.count_ms()};
            tickets_->rotate();
        }
        const bool is_steady = states == seen_;
        seen_ = states;
        if (states == loaded_ || !is_steady) return {};
    }
    return reload(now);
}

TlsStore::ReloadResult TlsStore::reload(WallTime now) {
    // Looked at before they are read: what changes in between is loaded once more.
    std::vector<FileState> states = look_at_files();
    auto contexts = TlsContexts::load(settings_, tickets_, now);
    const MutexLock lock{mutex_};
    loaded_ = seen_ = std::move(states);  // refused ones too: they are not tried every second
    if (!contexts) return {Reload::refused, contexts.error()};
    // A session that is resumed shows no certificate, so whom the new CRL names must not resume.
    const bool checks_clients = settings_.client_certificates != ClientCertificates::none;
    if (contexts_ && checks_clients) tickets_->forget_all();
    contexts_ = std::move(*contexts);
    return {Reload::replaced, {}};
}

std::shared_ptr<const TlsContexts> TlsStore::contexts() const {
    const MutexLock lock{mutex_};
    return contexts_;
}

std::uint32_t TlsStore::certificate_of(std::string_view server_name) const {
    return contexts()->find(server_name).value_or(0);
}

std::vector<CertificateStatus> TlsStore::certificates() const { return contexts()->certificates(); }

std::vector<std::string> TlsStore::warnings() const { return contexts()->warnings(); }

}  // namespace mitu::transport
