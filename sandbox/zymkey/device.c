#include "device.h"
#include "state.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

int device_open(void) {
    return state_open();
}

/* The start of every call that uses a key: the faults, then the slot. */
static int use_key(int slot, EVP_PKEY **key) {
    int error = state_fault();
    if (error != 0)
        return error;
    if (slot < 0 || slot >= DEVICE_SLOTS)
        return -EINVAL;
    return state_key(slot, key);
}

/* 04 || x || y, as SEC 1 writes a point. */
static int encoded_point(EVP_PKEY *key, uint8_t point[1 + DEVICE_PUBLIC_KEY_SIZE]) {
    uint8_t *encoded = NULL;
    size_t size = EVP_PKEY_get1_encoded_public_key(key, &encoded);
    int error = size == 1 + DEVICE_PUBLIC_KEY_SIZE ? 0 : -EIO;

    if (error == 0)
        memcpy(point, encoded, size);
    OPENSSL_free(encoded);
    return error;
}

int device_public_key(int slot, uint8_t public_key[DEVICE_PUBLIC_KEY_SIZE], size_t *size) {
    uint8_t point[1 + DEVICE_PUBLIC_KEY_SIZE];
    EVP_PKEY *key = NULL;
    int error = use_key(slot, &key);
    if (error != 0)
        return error;

    *size = DEVICE_PUBLIC_KEY_SIZE;
    if (EVP_PKEY_is_a(key, "EC")) {
        error = encoded_point(key, point);
        if (error == 0)
            memcpy(public_key, point + 1, *size);
    } else if (!EVP_PKEY_get_raw_public_key(key, public_key, size)) {
        error = -EIO;
    }
    EVP_PKEY_free(key);
    return error;
}

int device_public_key_file(int slot, const char *filename) {
    EVP_PKEY *key = NULL;
    int error = use_key(slot, &key);
    if (error != 0)
        return error;

    FILE *stream = fopen(filename, "we");
    if (stream == NULL)
        error = -errno;
    else if (!PEM_write_PUBKEY(stream, key))
        error = -EIO;
    if (stream != NULL && fclose(stream) != 0 && error == 0)
        error = -errno;
    EVP_PKEY_free(key);
    return error;
}

/* ECDSA over the digest as it is. OpenSSL speaks DER (SEQUENCE of r and s), a Zymkey does not. */
static int sign_raw(EVP_PKEY *key, const uint8_t *digest, uint8_t *signature) {
    uint8_t der[80];
    size_t size = sizeof der;
    const uint8_t *position = der;
    ECDSA_SIG *decoded = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    int error = -EIO;

    if (context != NULL && EVP_PKEY_sign_init(context) > 0 &&
        EVP_PKEY_sign(context, der, &size, digest, DEVICE_DIGEST_SIZE) > 0 &&
        (decoded = d2i_ECDSA_SIG(NULL, &position, (long)size)) != NULL &&
        BN_bn2binpad(ECDSA_SIG_get0_r(decoded), signature, 32) == 32 &&
        BN_bn2binpad(ECDSA_SIG_get0_s(decoded), signature + 32, 32) == 32)
        error = 0;
    ECDSA_SIG_free(decoded);
    EVP_PKEY_CTX_free(context);
    return error;
}

/* The signature's point is R = (z/s)G + (r/s)Q, where z is the digest, G the generator and Q the
 * public key (SEC 1, section 4.1.4). Whoever has the parity of its y can compute Q from the rest.
 */
static int recovery_parity(EVP_PKEY *key, const uint8_t *digest, const uint8_t *signature,
                           uint8_t *parity) {
    uint8_t encoded[1 + DEVICE_PUBLIC_KEY_SIZE];
    char curve[32];
    BN_CTX *context = BN_CTX_new();
    EC_GROUP *group = NULL;
    EC_POINT *public_key = NULL, *point = NULL;
    int error = encoded_point(key, encoded);

    if (error == 0 && context != NULL && EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL))
        group = EC_GROUP_new_by_curve_name(OBJ_txt2nid(curve));
    if (group != NULL) {
        public_key = EC_POINT_new(group);
        point = EC_POINT_new(group);
    }
    error = -EIO;
    if (public_key != NULL && point != NULL) {
        BN_CTX_start(context);
        const BIGNUM *order = EC_GROUP_get0_order(group);
        BIGNUM *z = BN_CTX_get(context), *r = BN_CTX_get(context), *s = BN_CTX_get(context);
        BIGNUM *y = BN_CTX_get(context);

        if (y != NULL && BN_bin2bn(digest, DEVICE_DIGEST_SIZE, z) && BN_bin2bn(signature, 32, r) &&
            BN_bin2bn(signature + 32, 32, s) && BN_mod_inverse(s, s, order, context) &&
            BN_mod_mul(z, z, s, order, context) && BN_mod_mul(r, r, s, order, context) &&
            EC_POINT_oct2point(group, public_key, encoded, sizeof encoded, context) &&
            EC_POINT_mul(group, point, z, public_key, r, context) &&
            EC_POINT_get_affine_coordinates(group, point, NULL, y, context)) {
            *parity = (uint8_t)BN_is_odd(y);
            error = 0;
        }
        BN_CTX_end(context);
    }
    EC_POINT_free(point);
    EC_POINT_free(public_key);
    EC_GROUP_free(group);
    BN_CTX_free(context);
    return error;
}

int device_sign(int slot, const uint8_t digest[DEVICE_DIGEST_SIZE],
                uint8_t signature[DEVICE_SIGNATURE_SIZE], uint8_t *recovery_id) {
    EVP_PKEY *key = NULL;
    int error = use_key(slot, &key);
    if (error != 0)
        return error;

    if (!EVP_PKEY_is_a(key, "EC"))
        error = -EINVAL;
    if (error == 0)
        error = sign_raw(key, digest, signature);
    if (error == 0 && recovery_id != NULL)
        error = recovery_parity(key, digest, signature, recovery_id);
    if (error == 0)
        error =
            state_record_signature(slot); /* a signature that is not counted is not handed out */
    EVP_PKEY_free(key);
    return error;
}

int device_verify(int slot, const uint8_t digest[DEVICE_DIGEST_SIZE],
                  const uint8_t signature[DEVICE_SIGNATURE_SIZE]) {
    EVP_PKEY *key = NULL;
    int result = use_key(slot, &key);
    if (result != 0)
        return result;

    uint8_t *der = NULL;
    ECDSA_SIG *decoded = ECDSA_SIG_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
    result = -EIO;
    if (decoded != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(decoded, r, s)) {
        r = s = NULL; /* decoded owns them */
        int size = i2d_ECDSA_SIG(decoded, &der);
        if (size > 0 && context != NULL && EVP_PKEY_verify_init(context) > 0)
            result = EVP_PKEY_verify(context, der, (size_t)size, digest, DEVICE_DIGEST_SIZE) == 1;
    }
    BN_free(r);
    BN_free(s);
    OPENSSL_free(der);
    ECDSA_SIG_free(decoded);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}

int device_random(uint8_t *bytes, size_t size) {
    int error = state_fault();
    if (error != 0)
        return error;
    return RAND_bytes_ex(NULL, bytes, size, 0) == 1 ? 0 : -EIO;
}

int device_serial(char serial[DEVICE_SERIAL_SIZE]) {
    uint8_t public_key[DEVICE_PUBLIC_KEY_SIZE], hash[SHA256_DIGEST_LENGTH];
    size_t size = 0;
    int error = device_public_key(0, public_key, &size);
    if (error != 0)
        return error;

    SHA256(public_key, size, hash);
    for (int i = 0; i < (DEVICE_SERIAL_SIZE - 1) / 2; i++)
        snprintf(serial + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

int device_model(const char **model) {
    *model = DEVICE_MODEL;
    return state_fault();
}

int device_firmware(const char **firmware) {
    *firmware = DEVICE_FIRMWARE;
    return state_fault();
}
