/* libzk_app_utils.so: the vendor's C library, as far as a Zymkey 4 on a bench needs it, so that the
 * vendor's own Python module (PyPI zku 1.0.33, `import zymkey`) loads and works unmodified.
 *
 * Names and parameters are those of the vendor's header zk_app_utils.h. What is simulated behaves;
 * what only has to exist, because the module looks it up at import, answers -ENOSYS and says
 * nothing about how a real device behaves. Buffers that a call returns are the caller's to free().
 */
#include "device.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void *zkCTX;

/* There is nothing to hold open: a context is a token that shows that zkOpen went well. */
int zkOpen(zkCTX *ctx) {
    int error = device_open();
    *ctx = NULL;
    if (error != 0)
        return error;
    *ctx = malloc(1);
    return *ctx != NULL ? 0 : -ENOMEM;
}

/* The Python module closes even what it failed to open, so NULL is as good here as it is to free().
 */
int zkClose(zkCTX ctx) {
    free(ctx);
    return 0;
}

/* Give the caller its own copy. */
static int hand_out(const void *bytes, size_t size, void **copy) {
    *copy = malloc(size);
    if (*copy == NULL)
        return -ENOMEM;
    memcpy(*copy, bytes, size);
    return 0;
}

int zkGetRandBytes(zkCTX ctx, uint8_t **rdata, int rdata_sz) {
    if (ctx == NULL || rdata_sz <= 0)
        return -EINVAL;
    *rdata = malloc((size_t)rdata_sz);
    if (*rdata == NULL)
        return -ENOMEM;
    int error = device_random(*rdata, (size_t)rdata_sz);
    if (error != 0) {
        free(*rdata);
        *rdata = NULL;
    }
    return error;
}

/* The digest comes without its length: 32 bytes are read, whatever the caller hashed with. */
int zkGenECDSASigFromDigestWithRecID(zkCTX ctx, const uint8_t *digest, int slot, uint8_t **sig,
                                     int *sig_sz, uint8_t *recovery_id) {
    uint8_t signature[DEVICE_SIGNATURE_SIZE];
    int error = ctx != NULL ? device_sign(slot, digest, signature, recovery_id) : -EINVAL;
    if (error != 0)
        return error;
    *sig_sz = sizeof signature;
    return hand_out(signature, sizeof signature, (void **)sig);
}

int zkGenECDSASigFromDigest(zkCTX ctx, const uint8_t *digest, int slot, uint8_t **sig,
                            int *sig_sz) {
    return zkGenECDSASigFromDigestWithRecID(ctx, digest, slot, sig, sig_sz, NULL);
}

int zkVerifyECDSASigFromDigest(zkCTX ctx, const uint8_t *digest, int pubkey_slot,
                               const uint8_t *sig, int sig_sz) {
    if (ctx == NULL || sig_sz != DEVICE_SIGNATURE_SIZE)
        return -EINVAL;
    return device_verify(pubkey_slot, digest, sig);
}

/* Foreign public keys are for HSM6 and SCM; a Zymkey 4 keeps none. */
int zkExportPubKey(zkCTX ctx, uint8_t **pk, int *pk_sz, int pubkey_slot, bool slot_is_foreign) {
    uint8_t public_key[DEVICE_PUBLIC_KEY_SIZE];
    size_t size = 0;
    if (ctx == NULL || slot_is_foreign)
        return -EINVAL;
    int error = device_public_key(pubkey_slot, public_key, &size);
    if (error != 0)
        return error;
    *pk_sz = (int)size;
    return hand_out(public_key, size, (void **)pk);
}

int zkExportPubKey2File(zkCTX ctx, const char *filename, int pubkey_slot, bool slot_is_foreign) {
    if (ctx == NULL || slot_is_foreign)
        return -EINVAL;
    return device_public_key_file(pubkey_slot, filename);
}

int zkGetECDSAPubKey(zkCTX ctx, uint8_t **pk, int *pk_sz, int slot) {
    return zkExportPubKey(ctx, pk, pk_sz, slot, false);
}

int zkSaveECDSAPubKey2File(zkCTX ctx, const char *filename, int slot) {
    return zkExportPubKey2File(ctx, filename, slot, false);
}

int zkGetModelNumberString(zkCTX ctx, char **model_str) {
    const char *model;
    int error = ctx != NULL ? device_model(&model) : -EINVAL;
    return error != 0 ? error : hand_out(model, strlen(model) + 1, (void **)model_str);
}

int zkGetFirmwareVersionString(zkCTX ctx, char **fw_str) {
    const char *firmware;
    int error = ctx != NULL ? device_firmware(&firmware) : -EINVAL;
    return error != 0 ? error : hand_out(firmware, strlen(firmware) + 1, (void **)fw_str);
}

int zkGetSerialNumberString(zkCTX ctx, char **sn_str) {
    char serial[DEVICE_SERIAL_SIZE];
    int error = ctx != NULL ? device_serial(serial) : -EINVAL;
    return error != 0 ? error : hand_out(serial, sizeof serial, (void **)sn_str);
}

/* Not simulated. The parameters are left out: no calling convention of Linux minds. */
#define NOT_SIMULATED(name)                                                                        \
    int name(void) {                                                                               \
        return -ENOSYS;                                                                            \
    }

NOT_SIMULATED(zkLEDOn)
NOT_SIMULATED(zkLEDOff)
NOT_SIMULATED(zkLEDFlash)
NOT_SIMULATED(zkCreateRandDataFile)
NOT_SIMULATED(zkLockDataF2F)
NOT_SIMULATED(zkLockDataB2F)
NOT_SIMULATED(zkLockDataF2B)
NOT_SIMULATED(zkLockDataB2B)
NOT_SIMULATED(zkUnlockDataF2F)
NOT_SIMULATED(zkUnlockDataB2F)
NOT_SIMULATED(zkUnlockDataF2B)
NOT_SIMULATED(zkUnlockDataB2B)
NOT_SIMULATED(zkSetI2CAddr)
NOT_SIMULATED(zkSetTapSensitivity)
NOT_SIMULATED(zkGetTime)
NOT_SIMULATED(zkWaitForTap)
NOT_SIMULATED(zkGetAccelerometerData)
NOT_SIMULATED(zkWaitForPerimeterEvent)
NOT_SIMULATED(zkGetPerimeterDetectInfo)
NOT_SIMULATED(zkClearPerimeterDetectEvents)
NOT_SIMULATED(zkSetPerimeterEventAction)

/* Not simulated, and not in a Zymkey 4 either: HSM6, SCM, or the HSM family. */
NOT_SIMULATED(zkVerifyECDSASigFromDigestWithForeignKeySlot)
NOT_SIMULATED(zkStoreForeignPubKey)
NOT_SIMULATED(zkDisablePubKeyExport)
NOT_SIMULATED(zkGenKeyPair)
NOT_SIMULATED(zkGenEphemeralKeyPair)
NOT_SIMULATED(zkRemoveKey)
NOT_SIMULATED(zkInvalidateEphemeralKey)
NOT_SIMULATED(zkGetAllocSlotsList)
NOT_SIMULATED(zkDoRawECDH)
NOT_SIMULATED(zkDoRawECDHWithIntPeerPubkey)
NOT_SIMULATED(zkDoECDHAndKDF)
NOT_SIMULATED(zkDoECDHAndKDFWithIntPeerPubkey)
NOT_SIMULATED(zkGenWalletMasterSeedWithBIP39)
NOT_SIMULATED(zkGenWalletMasterSeedWithSLIP39)
NOT_SIMULATED(zkSetSLIP39GroupInfo)
NOT_SIMULATED(zkAddSLIP39MemberPassword)
NOT_SIMULATED(zkCancelSLIP39Session)
NOT_SIMULATED(zkGenOversightWallet)
NOT_SIMULATED(zkRestoreWalletMasterSeedFromBIP39Mnemonic)
NOT_SIMULATED(zkAddRestoreSLIP39Mnemonic)
NOT_SIMULATED(zkRestoreWalletMasterSeedFromSLIP39)
NOT_SIMULATED(zkGenWalletChildKey)
NOT_SIMULATED(zkGetWalletNodeAddrFromKeySlot)
NOT_SIMULATED(zkGetWalletKeySlotFromNodeAddr)
NOT_SIMULATED(zkLockBinding)
NOT_SIMULATED(zkGetCurrentBindingInfo)
NOT_SIMULATED(zkGetCPUTemp)
NOT_SIMULATED(zkGetAUXTemp)
NOT_SIMULATED(zkGetRTCDrift)
NOT_SIMULATED(zkGetBatteryVoltage)
NOT_SIMULATED(zkSetDigitalPerimeterDetectLPPeriod)
NOT_SIMULATED(zkSetDigitalPerimeterDetectLPMaxBits)
NOT_SIMULATED(zkSetDigitalPerimeterDetectDelays)
NOT_SIMULATED(zkSetBatteryVoltageAction)
NOT_SIMULATED(zkSetBatteryVoltageThreshold)
NOT_SIMULATED(zkSetCPUTempAction)
NOT_SIMULATED(zkSetCPULowTempThreshold)
NOT_SIMULATED(zkSetCPUHighTempThreshold)
NOT_SIMULATED(zkSetSupervisedBootPolicy)
NOT_SIMULATED(zkAddOrUpdateSupervisedBootFile)
NOT_SIMULATED(zkRemoveSupervisedBootFile)
NOT_SIMULATED(zkGetSupervisedBootFileManifest)
