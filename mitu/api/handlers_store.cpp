// What the server keeps on disk: its numbers, its check, its backup.

#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

Answer<Reply> reply_of(const Answer<std::string>& answer, unsigned status = 200) {
    if (!answer) return std::unexpected(answer.error());
    return Reply{status, Json::parse(*answer)};
}

Answer<Reply> show_store(Call& call) {
    Store* const store = call.services.backends.store;
    if (store == nullptr) return not_available("store: nobody's durability wants one");
    return reply_of(store->numbers());
}

Answer<Reply> start_store_check(Call& call) {
    Store* const store = call.services.backends.store;
    if (store == nullptr) return not_available("store: nobody's durability wants one");
    return reply_of(store->start_check(), 202);
}

Answer<Reply> show_store_check(Call& call) {
    Store* const store = call.services.backends.store;
    if (store == nullptr) return not_available("store: nobody's durability wants one");
    return reply_of(store->last_check());
}

Answer<Reply> back_up_store(Call& call) {
    Store* const store = call.services.backends.store;
    if (store == nullptr) return not_available("store: nobody's durability wants one");
    const auto directory = call.body["directory"].get<std::string>();
    call.audit.emplace_back("directory", directory);
    return reply_of(store->back_up(directory), 201);
}

}  // namespace

std::vector<Operation> store_operations() {
    return {
        {.method = "GET",
         .path = "/store",
         .id = "show_store",
         .tag = "store",
         .summary = "What is stored, by kind of rows: how many, how large",
         .needs = Needs::admin,
         .reach = Reach::node,
         .answer = "StoreNumbers",
         .errors = {Code::not_saved, Code::not_available},
         .handler = show_store},
        {.method = "POST",
         .path = "/store/check",
         .id = "start_store_check",
         .tag = "store",
         .summary = "Begins to check what is stored as of now, or says that it is being done",
         .needs = Needs::admin,
         .reach = Reach::node,
         .status = 202,
         .answer = "StoreCheck",
         .errors = {Code::not_available},
         .handler = start_store_check},
        {.method = "GET",
         .path = "/store/check",
         .id = "show_store_check",
         .tag = "store",
         .summary = "How the check is getting on, or what the last one has found",
         .needs = Needs::admin,
         .reach = Reach::node,
         .answer = "StoreCheck",
         .errors = {Code::not_available},
         .handler = show_store_check},
        {.method = "POST",
         .path = "/store/backup",
         .id = "back_up_store",
         .tag = "store",
         .summary = "Copies the store, with all that was acknowledged before the request, into a "
                    "new data directory on the server's machine",
         .needs = Needs::admin,
         .reach = Reach::node,
         .body = "StoreBackupRequest",
         .status = 201,
         .answer = "StoreBackup",
         .errors = {Code::cannot_apply, Code::not_saved, Code::not_available},
         .handler = back_up_store},
    };
}

}  // namespace mitu::api
