#pragma once
// What systemd is told of a service of Type=notify: that it serves, reads its files anew, or ends.

#include <string_view>

namespace mitu::runtime {

/// Whether somebody wants to be told (NOTIFY_SOCKET).
[[nodiscard]] bool has_service_manager() noexcept;

/// Each does nothing where nobody wants to be told; a manager that does not take it is not waited
/// for. `status` is what `systemctl status` shows.
/// Source     sd_notify(3).
void notify_ready(std::string_view status) noexcept;
void notify_reloading() noexcept;
void notify_stopping() noexcept;
void notify_status(std::string_view status) noexcept;

}  // namespace mitu::runtime
