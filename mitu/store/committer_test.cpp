// What the committer does with an engine that fails in the middle of a write.

#include "mitu/store/committer.hpp"

#include <gtest/gtest.h>

#include "mitu/store/codec.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/memory_engine.hpp"

namespace mitu::store {
namespace {

/// A write reaches the log and then fails: recover() finds it there, or does not.
class HalfwayEngine final : public Engine {
public:
    [[nodiscard]] Result<void, Error> write(ByteView operations, bool sync) override {
        if (!fails) return inner_.write(operations, sync);
        fails = false;
        logged_ = to_bytes(operations);
        return std::unexpected(Error{ErrorKind::io_failed, "the sync failed"});
    }
    [[nodiscard]] Result<void, Error> recover() override {
        if (finds_it) static_cast<void>(inner_.write(logged_, true));
        return {};
    }
    [[nodiscard]] Result<void, Error> sync() override { return inner_.sync(); }
    [[nodiscard]] Result<std::optional<Bytes>, Error> get(Family family, ByteView key) override {
        return inner_.get(family, key);
    }
    [[nodiscard]] std::unique_ptr<Rows> scan(Family family, ByteView from, ByteView to) override {
        return inner_.scan(family, from, to);
    }
    [[nodiscard]] Result<std::optional<Bytes>, Error> last(Family family, ByteView from,
                                                           ByteView to) override {
        return inner_.last(family, from, to);
    }
    [[nodiscard]] std::optional<std::uint64_t> free_bytes() override { return std::nullopt; }
    void set_time(WallTime now) override { inner_.set_time(now); }
    [[nodiscard]] EngineStats stats() override { return inner_.stats(); }
    [[nodiscard]] Result<void, Error> backup(const std::string& directory) override {
        return inner_.backup(directory);
    }

    bool fails = false;
    bool finds_it = false;

private:
    MemoryEngine inner_;
    Bytes logged_;
};

class CommitterTest : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(found_in_the_log, CommitterTest, ::testing::Bool());

TEST_P(CommitterTest, a_group_that_failed_is_stored_once) {
    HalfwayEngine engine;
    engine.finds_it = GetParam();
    Committer committer{engine, {}};
    const auto add_one = [&committer] {
        Batch batch;
        batch.add(Family::references, key_of(7), 1);
        batch.require(Durability::sync);
        ASSERT_TRUE(committer.submit(ShardId{0}, batch));
    };
    const auto count = [&engine] {
        const auto found = engine.get(Family::references, key_of(7));
        return found && *found ? decode_count(**found).value_or(-1) : 0;
    };
    Instant now = Instant::from_ns(1'000'000'000);
    add_one();
    static_cast<void>(committer.step(now, {1}));
    EXPECT_EQ(count(), 1);
    engine.fails = true;
    add_one();
    static_cast<void>(committer.step(now, {1}));
    EXPECT_EQ(count(), 1);
    std::vector<CommitReport> reports;
    committer.poll(ShardId{0}, reports);
    EXPECT_EQ(reports.back().through, 1u);
    now = now + Duration::seconds(2);
    static_cast<void>(committer.step(now, {1}));
    EXPECT_EQ(count(), 2);
    committer.poll(ShardId{0}, reports);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_EQ(reports.back().through, 2u);
    add_one();
    static_cast<void>(committer.step(now, {1}));
    EXPECT_EQ(count(), 3);
}

}  // namespace
}  // namespace mitu::store
