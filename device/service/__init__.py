"""systemd runs the device's life: bootstrap at the first boot, renewal when it is due. The units are in units/."""
