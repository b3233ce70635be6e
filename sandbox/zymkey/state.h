/* What a simulated Zymkey keeps: its keys, the record of its signatures, the faults it is told to
 * have.
 *
 * All of it lives in one directory, so that every process that loads the library or the engine
 * talks to the same device: $ZYMKEY_SIMULATOR_DIR, or the directory compiled in as
 * ZYMKEY_STATE_DIRECTORY.
 *
 *   slot-N.pem   the private key of slot N (PKCS#8), made on first use
 *   signatures   one line a signature: "slot pid caller"
 *   fail         a negative errno, which every call after open returns   ($ZYMKEY_SIMULATOR_FAIL)
 *   delay_ms     milliseconds, for which every call after open waits ($ZYMKEY_SIMULATOR_DELAY_MS)
 *   absent       its presence means: nothing is plugged in               ($ZYMKEY_SIMULATOR_ABSENT)
 *
 * A variable of the environment wins over the file beside it. Every function returns 0 or a
 * negative errno, as the vendor's library does.
 */
#ifndef ZYMKEY_STATE_H
#define ZYMKEY_STATE_H

#include <openssl/evp.h>

/* Hidden: the library and the engine both hold this code, and may meet in one process. */
#pragma GCC visibility push(hidden)

/* Make the directory if it is not there. -ENODEV when the device is absent, -EACCES and its like
 * when this user may not have it, which on a Pi is a user without the right to the bus. */
int state_open(void);

/* Wait and fail as told: what every call does before anything else. */
int state_fault(void);

/* The key of a slot, whatever its type; made (P-256) when there is none. The caller frees it. */
int state_key(int slot, EVP_PKEY **key);

/* Add one line to the record of signatures. */
int state_record_signature(int slot);

#pragma GCC visibility pop

#endif
