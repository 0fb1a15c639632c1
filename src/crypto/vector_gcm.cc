// The multi-buffer library's functions for one packet; its queues of jobs are not used.
#include "crypto/vector_gcm.h"

#ifdef SELVAGE_IPSEC_MB
#include <intel-ipsec-mb.h>

#include "crypto/secret.h"

namespace selvage::crypto {
namespace {

// The functions that fit this processor. Chosen once: they depend on nothing else.
const IMB_MGR* functions() {
    struct Free {
        void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
    };
    static const std::unique_ptr<IMB_MGR, Free> chosen = [] {
        std::unique_ptr<IMB_MGR, Free> manager(alloc_mb_mgr(0));
        if (!manager) return manager;
        constexpr std::uint64_t kNeeded = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
        if ((manager->features & kNeeded) != kNeeded) {
            manager.reset();
            return manager;
        }
        init_mb_mgr_auto(manager.get(), nullptr);
        if (imb_get_errno(manager.get()) != 0) manager.reset();
        return manager;
    }();
    return chosen.get();
}

class IpsecMbGcm final : public VectorGcm {
public:
    IpsecMbGcm(const IMB_MGR& all, ByteView key)
        : seal_(key.size() == 16 ? all.gcm128_enc : all.gcm256_enc),
          open_(key.size() == 16 ? all.gcm128_dec : all.gcm256_dec) {
        const auto prepare = key.size() == 16 ? all.gcm128_pre : all.gcm256_pre;
        prepare(key.data(), &key_);
    }
    IpsecMbGcm(const IpsecMbGcm&) = delete;
    IpsecMbGcm& operator=(const IpsecMbGcm&) = delete;
    ~IpsecMbGcm() override { wipe({reinterpret_cast<std::uint8_t*>(&key_), sizeof(key_)}); }

    void seal(
        MutableByteView text, std::span<const std::uint8_t, 12> nonce,
        std::span<std::uint8_t, 16> tag
    ) const override {
        run(seal_, text, nonce, tag);
    }
    void open(
        MutableByteView text, std::span<const std::uint8_t, 12> nonce,
        std::span<std::uint8_t, 16> tag
    ) const override {
        run(open_, text, nonce, tag);
    }

private:
    void run(
        aes_gcm_enc_dec_t function, MutableByteView text, std::span<const std::uint8_t, 12> nonce,
        std::span<std::uint8_t, 16> tag
    ) const {
        alignas(64) gcm_context_data context;
        function(
            &key_, &context, text.data(), text.data(), text.size(), nonce.data(), nullptr, 0,
            tag.data(), tag.size()
        );
    }

    aes_gcm_enc_dec_t seal_;
    aes_gcm_enc_dec_t open_;
    alignas(64) gcm_key_data key_;
};

}  // namespace

bool has_vector_gcm() {
    return functions() != nullptr;
}

std::unique_ptr<VectorGcm> make_vector_gcm(ByteView key) {
    const IMB_MGR* all = functions();
    if (all == nullptr || (key.size() != 16 && key.size() != 32)) return nullptr;
    return std::make_unique<IpsecMbGcm>(*all, key);
}

}  // namespace selvage::crypto

#else

namespace selvage::crypto {

bool has_vector_gcm() {
    return false;
}

std::unique_ptr<VectorGcm> make_vector_gcm(ByteView) {
    return nullptr;
}

}  // namespace selvage::crypto

#endif
