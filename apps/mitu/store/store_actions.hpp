#pragma once
// What `mitu store` does: on a directory, or with a server over its API. Both print the same.

#include <string>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/commands.hpp"

namespace mitu::cli {

struct StoreFlags {
    ApiFlags api;           // its `json` holds for directories too
    std::string directory;  // the server's data directory; empty: ask the server
    std::string file;       // lines of an export
    std::string target;     // of a backup
};

// store_on_disk.cpp: of a data directory that no server has open.
ExitCode check_directory(const StoreFlags& flags);
ExitCode show_directory(const StoreFlags& flags);
ExitCode export_directory(const StoreFlags& flags);
ExitCode import_directory(const StoreFlags& flags);
ExitCode back_up_directory(const StoreFlags& flags);

// store_over_api.cpp: of a server that runs.
ExitCode check_server(const StoreFlags& flags);
ExitCode show_server_store(const StoreFlags& flags);
ExitCode back_up_server(const StoreFlags& flags);

// store_report.cpp: the JSON of mitu/store/directory.hpp, as it is or for people.
ExitCode print_check(const Json& check, bool as_json);
ExitCode print_stats(const Json& stats, bool as_json);
ExitCode print_backup(const Json& backup, bool as_json);

}  // namespace mitu::cli
