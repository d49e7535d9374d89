#pragma once
// `mitu client show`: one client, and what was refused to it.

#include <string>

#include "apps/mitu/admin/api_client.hpp"

namespace mitu::cli {

/// A client that never got in has no session, but maybe refusals: those are shown then.
ExitCode show_client(const ApiFlags& flags, const std::string& tenant,
                     const std::string& client_id);

}  // namespace mitu::cli
