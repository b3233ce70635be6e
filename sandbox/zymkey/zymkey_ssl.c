/* zymkey_ssl.so: an OpenSSL engine with the vendor's id, for the vendor's documented commands:
 *
 *   openssl req -new -engine zymkey_ssl -keyform e -key nonzymkey.key ...
 *   curl --engine zymkey_ssl --key-type ENG --key nonzymkey.key ...
 *
 * OpenSSL finds it as $OPENSSL_ENGINES/zymkey_ssl.so. The key's name is ignored (the vendor calls
 * it a placeholder for a file that does not exist); the slot comes from $ZK_SSL_SLOT, 0 without it.
 * Signing happens in device.c, so it counts and fails together with what libzk_app_utils.so does.
 *
 * Engines are deprecated since OpenSSL 3.0 and gone in 4.0; the vendor offers nothing else.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "device.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char ENGINE_ID[] = "zymkey_ssl";
static const char ENGINE_NAME[] = "Simulated Zymkey";

/* An EC key's method decides who signs with it. Ours goes with the keys that this engine loads and
 * with no other: it is never registered as a default, which curl would then use for every key. */
static EC_KEY_METHOD *device_method;
static int slot_index; /* where such a key keeps its slot */

/* One sentence on OpenSSL's error queue, which openssl and curl print. */
static void explain(int slot, int error) {
    const char *cause = strerror(-error);
    if (error == -ENODEV)
        cause = "no device found";
    else if (error == -EINVAL)
        cause = "no such slot, or its key is not on P-256";
    ERR_raise_data(ERR_LIB_ENGINE, ENGINE_R_FAILED_LOADING_PRIVATE_KEY,
                   "simulated Zymkey, slot %d: %s (%d)", slot, cause, error);
}

/* OpenSSL calls this for every signature under one of our keys. kinv and r are for keys in memory.
 */
static ECDSA_SIG *sign_in_device(const unsigned char *digest, int size, const BIGNUM *kinv,
                                 const BIGNUM *r, EC_KEY *key) {
    int slot = (int)(intptr_t)EC_KEY_get_ex_data(key, slot_index);
    uint8_t padded[DEVICE_DIGEST_SIZE] = {0}, signature[DEVICE_SIGNATURE_SIZE];
    (void)kinv;
    (void)r;

    /* ECDSA takes a digest's leftmost 256 bits, and a shorter one as the number that it is. */
    if (size < DEVICE_DIGEST_SIZE)
        memcpy(padded + DEVICE_DIGEST_SIZE - size, digest, (size_t)size);
    else
        memcpy(padded, digest, DEVICE_DIGEST_SIZE);

    int error = device_sign(slot, padded, signature, NULL);
    if (error != 0) {
        explain(slot, error);
        return NULL;
    }
    ECDSA_SIG *result = ECDSA_SIG_new();
    BIGNUM *result_r = BN_bin2bn(signature, 32, NULL);
    BIGNUM *result_s = BN_bin2bn(signature + 32, 32, NULL);
    if (result == NULL || !ECDSA_SIG_set0(result, result_r, result_s)) {
        BN_free(result_r);
        BN_free(result_s);
        ECDSA_SIG_free(result);
        return NULL;
    }
    return result;
}

/* -EINVAL when $ZK_SSL_SLOT is not a number. */
static int chosen_slot(int *slot) {
    const char *text = getenv("ZK_SSL_SLOT");
    char *end;
    *slot = 0;
    if (text == NULL || *text == '\0')
        return 0;
    long number = strtol(text, &end, 10);
    *slot = (int)number;
    return *end == '\0' && number >= 0 && number < INT16_MAX ? 0 : -EINVAL;
}

static EVP_PKEY *load_key(ENGINE *engine, const char *name, UI_METHOD *ui, void *ui_data) {
    uint8_t point[1 + DEVICE_PUBLIC_KEY_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t size = 0;
    int slot = 0;
    (void)engine;
    (void)name;
    (void)ui;
    (void)ui_data;

    int error = chosen_slot(&slot);
    if (error == 0)
        error = device_open();
    if (error == 0)
        error = device_public_key(slot, point + 1, &size);
    if (error == 0 && size != DEVICE_PUBLIC_KEY_SIZE)
        error = -EINVAL;
    if (error != 0) {
        explain(slot, error);
        return NULL;
    }

    /* A public key with a way to sign: all that OpenSSL needs of a private one. */
    EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *result = EVP_PKEY_new();
    if (key != NULL && result != NULL && EC_KEY_oct2key(key, point, sizeof point, NULL) &&
        EC_KEY_set_method(key, device_method) &&
        EC_KEY_set_ex_data(key, slot_index, (void *)(intptr_t)slot) &&
        EVP_PKEY_assign_EC_KEY(result, key))
        return result;
    EVP_PKEY_free(result);
    EC_KEY_free(key);
    return NULL;
}

static int make_method(void) {
    int (*sign)(int, const unsigned char *, int, unsigned char *, unsigned int *, const BIGNUM *,
                const BIGNUM *, EC_KEY *);
    int (*sign_setup)(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **);

    slot_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    device_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (slot_index < 0 || device_method == NULL)
        return 0;
    /* OpenSSL's own sign encodes as DER what sign_sig returns; only that last step is ours. */
    EC_KEY_METHOD_get_sign(device_method, &sign, &sign_setup, NULL);
    EC_KEY_METHOD_set_sign(device_method, sign, sign_setup, sign_in_device);
    return 1;
}

static int set_up(ENGINE *engine, const char *id) {
    if (id != NULL && strcmp(id, ENGINE_ID) != 0)
        return 0;
    return make_method() && ENGINE_set_id(engine, ENGINE_ID) &&
           ENGINE_set_name(engine, ENGINE_NAME) &&
           ENGINE_set_load_privkey_function(engine, load_key) &&
           ENGINE_set_load_pubkey_function(engine, load_key);
}

IMPLEMENT_DYNAMIC_CHECK_FN()
IMPLEMENT_DYNAMIC_BIND_FN(set_up)
