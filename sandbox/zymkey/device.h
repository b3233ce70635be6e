/* What a Zymkey does: sign a digest with the key of a slot, tell its public keys and who it is.
 *
 * The one signing code that libzk_app_utils.so and zymkey_ssl.so share, so that they are one device
 * with one count of signatures. Functions return 0 or a negative errno. Which codes a real device
 * returns is not published, save that -110 (ETIMEDOUT) has been seen when the bus does not answer;
 * the others here are errno's obvious ones.
 */
#ifndef ZYMKEY_DEVICE_H
#define ZYMKEY_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum {
    DEVICE_SLOTS = 3, /* Zymkey 4 and HSM4: 0, 1 and 2 */
    DEVICE_DIGEST_SIZE = 32,
    DEVICE_SIGNATURE_SIZE = 64,  /* r || s, big-endian */
    DEVICE_PUBLIC_KEY_SIZE = 64, /* x || y, big-endian; the most that a slot's public key takes */
    DEVICE_SERIAL_SIZE = 17,     /* hexadecimal text and its NUL */
};

#define DEVICE_MODEL "Zymkey 4 (simulated)"
#define DEVICE_FIRMWARE "00.00.00-simulated"

/* -ENODEV when no device is there. */
int device_open(void);

/* size becomes 64 for a key on a curve of 256 bits and 32 for ed25519 and x25519, which an HSM6 can
 * hold and a test may put into a slot. -EINVAL for a slot that the device does not have. */
int device_public_key(int slot, uint8_t public_key[DEVICE_PUBLIC_KEY_SIZE], size_t *size);

/* Sign, and count it. recovery_id, unless NULL, gets the parity of the y of the signature's point.
 * -EINVAL for a slot that the device does not have or whose key cannot make ECDSA signatures. */
int device_sign(int slot, const uint8_t digest[DEVICE_DIGEST_SIZE],
                uint8_t signature[DEVICE_SIGNATURE_SIZE], uint8_t *recovery_id);

/* 1 when the signature is right, 0 when it is not. */
int device_verify(int slot, const uint8_t digest[DEVICE_DIGEST_SIZE],
                  const uint8_t signature[DEVICE_SIGNATURE_SIZE]);

int device_random(uint8_t *bytes, size_t size);

/* Follows from the key of slot 0: stable for a device, different for two of them. */
int device_serial(char serial[DEVICE_SERIAL_SIZE]);

int device_model(const char **model);
int device_firmware(const char **firmware);

/* Write the public key of a slot to a file, as PEM. */
int device_public_key_file(int slot, const char *filename);

#pragma GCC visibility pop

#endif
