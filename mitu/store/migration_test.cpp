// A store that an older version wrote, as files of that version (testdata/README.md).

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "mitu/store/check.hpp"
#include "mitu/store/directory.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/record.hpp"
#include "mitu/store/rocks_engine.hpp"
#include "mitu/store/schema.hpp"

namespace mitu::store {
namespace {

namespace fs = std::filesystem;

class Migration : public ::testing::Test {
protected:
    Migration() {
        std::string pattern = ::testing::TempDir() + "mitu-migration-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
        fs::copy("mitu/store/testdata/schema_1", folder_, fs::copy_options::recursive);
        open();
    }
    ~Migration() override {
        engine_.reset();
        fs::remove_all(folder_);
    }
    void open() {
        engine_.reset();
        OpenReport report;
        auto opened = RocksEngine::open({.directory = folder_.string()}, report);
        ASSERT_TRUE(opened) << opened.error().detail;
        EXPECT_FALSE(report.is_new);
        EXPECT_TRUE(report.losses.empty()) << report.losses[0];
        engine_ = std::move(*opened);
    }
    [[nodiscard]] Bytes row(Family family, ByteView key) {
        const auto found = engine_->get(family, key);
        EXPECT_TRUE(found && *found) << to_text(family);
        return found && *found ? **found : Bytes{};
    }
    [[nodiscard]] std::vector<Bytes> keys(Family family) {
        std::vector<Bytes> all;
        for (const auto rows = engine_->scan(family, {}, {}); rows->next();) {
            all.push_back(to_bytes(rows->key()));
        }
        return all;
    }

    fs::path folder_;
    std::unique_ptr<RocksEngine> engine_;
};

TEST_F(Migration, a_stored_directory_of_schema_1_becomes_one_of_today) {
    ASSERT_EQ(keys(Family::references), (std::vector<Bytes>{key_of(21), key_of(22)})) << "counts";
    const auto identity = begin_generation(*engine_, 5);
    ASSERT_TRUE(identity) << identity.error().detail;
    EXPECT_EQ(identity->migrated_from, 1u);
    EXPECT_EQ(identity->schema, schema_version);
    open();
    EXPECT_EQ(read_identity(*engine_)->schema, schema_version);

    EXPECT_EQ(keys(Family::references),
              (std::vector<Bytes>{key_of(21, 7), key_of(21, 8), key_of(22, 31)}));
    EXPECT_EQ(keys(Family::wills), (std::vector<Bytes>{key_of(8, 8)}));
    const Bytes will = row(Family::wills, key_of(8, 8));
    EXPECT_EQ(decode_will(will)->client_id, "with-will");
    EXPECT_EQ(decode_will(will)->delay_s, 30u);
    EXPECT_EQ(decode_will(will)->message.topic, "off");
    const Bytes session = row(Family::sessions, key_of(Name{"acme", "plain"}));
    EXPECT_EQ(decode_session(session)->id, SessionId{7});
    EXPECT_EQ(keys(Family::queue),
              (std::vector<Bytes>{key_of(7, 1), key_of(7, 2), key_of(8, 1), key_of(8, 2)}));
    const Bytes message = row(Family::messages, key_of(21));
    EXPECT_EQ(as_text(decode_message(message)->payload), "for both");
    const Bytes retained = row(Family::retained, key_of(Name{"acme", "state"}));
    EXPECT_EQ(as_text(decode_message(retained)->payload), "on");
    EXPECT_EQ(row(Family::values, key_of(Name{"bans", "k"})), to_bytes(as_bytes("v")));
    const auto report = check(*engine_, {});
    ASSERT_TRUE(report) << report.error().detail;
    for (const Finding& finding : report->findings) ADD_FAILURE() << finding.what;
}

TEST_F(Migration, what_a_migration_has_done_is_not_undone_by_another) {
    ASSERT_TRUE(begin_generation(*engine_, 5));
    const auto references = keys(Family::references);
    Batch batch;  // as if the last write of it had not come
    for (const char* name : {"schema", "generation", "node"}) {
        batch.erase(Family::meta, as_bytes(name));
    }
    ASSERT_TRUE(engine_->write(batch.bytes(), true));
    const auto again = begin_generation(*engine_, 5);
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_EQ(again->migrated_from, 1u);
    EXPECT_EQ(keys(Family::references), references);
    EXPECT_TRUE(check(*engine_, {})->findings.empty());
}

TEST_F(Migration, an_older_store_is_inspected_as_what_it_is) {
    engine_.reset();
    const auto found = inspect(folder_.string(), {});
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_EQ(found->identity.schema, 1u);
    EXPECT_TRUE(found->damaged.empty());
}

}  // namespace
}  // namespace mitu::store
