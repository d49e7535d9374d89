#pragma once
// LiveConfig: the configuration that a node runs by, and the two ways to change it: from its files
// anew, or entry by entry through the API, which writes managed.yaml.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "mitu/api/error.hpp"
#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/config/files.hpp"
#include "mitu/config/managed.hpp"
#include "mitu/node/running.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

struct Reloaded {
    std::uint64_t revision = 0;
    Applied applied;
};

/// Threading  any thread but a shard's. One change at a time; a change waits for the disk.
class LiveConfig {
public:
    /// Reads every source anew. Errors: all problems, one a line.
    using Read = std::function<Result<config::FromFiles, std::string>()>;
    /// Lifetime  `running` and `clock` outlive it.
    LiveConfig(config::FromFiles from, Read read, Running& running, const ports::Clock& clock)
        : read_{std::move(read)},
          running_{running},
          clock_{clock},
          now_{std::make_shared<const config::FromFiles>(std::move(from))} {}

    /// What holds, or holds from the next start. Never null.
    [[nodiscard]] std::shared_ptr<const config::FromFiles> now() const MITU_EXCLUDES(mutex_);

    /// Errors  what is wrong with the files; what runs stays as it was, but for certificates.
    [[nodiscard]] Result<Reloaded, std::string> reload() MITU_EXCLUDES(editing_, mutex_);

    /// Edits managed.yaml. `now` is what holds before.
    using Change = std::function<std::optional<api::Error>(config::ManagedFile&,
                                                           const config::FromFiles& now)>;
    /// Makes it so. Errors: a sentence; then the file is put back.
    using Take = std::function<std::optional<std::string>(const config::Config& next)>;
    /// A change is checked, saved, and then made: what was answered with success is on disk.
    /// Errors  those of `change`; set_in_file: the file says otherwise, and wins; not_saved;
    ///         cannot_apply: `take` refused. Nothing has changed then.
    [[nodiscard]] api::Answer<void> edit(const Change& change, const Take& take)
        MITU_EXCLUDES(editing_, mutex_);

    /// What is done inside finds no change under way.
    template <class Look>
    auto undisturbed(Look look) MITU_EXCLUDES(editing_) {
        const MutexLock lock{editing_};
        return look();
    }

private:
    const Read read_;
    Running& running_;
    const ports::Clock& clock_;
    Mutex editing_;  // for as long as a change takes
    mutable Mutex mutex_;
    std::shared_ptr<const config::FromFiles> now_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::node
