// `mitu fleet`: the commands about many devices.

#include <CLI/CLI.hpp>

#include "apps/mitu/commands.hpp"

namespace mitu::cli {

void add_fleet_command(CLI::App& app, Outcome& outcome) {
    CLI::App* fleet = app.add_subcommand("fleet", "simulate a fleet, or ask how one is");
    fleet->require_subcommand(1);
    add_fleet_simulate_command(*fleet, outcome);
    add_fleet_status_command(*fleet, outcome);
}

}  // namespace mitu::cli
