//! USB devices.

/// Class codes and names (<https://www.usb.org/defined-class-codes>), as KubeArmor spells them
/// (`getting-started/usb_device_handler.md`).
const CLASSES: [(u8, &str); 24] = [
    (1, "AUDIO"),
    (2, "COMMUNICATION-CDC"),
    (3, "HID"),
    (5, "PHYSICAL"),
    (6, "IMAGE"),
    (7, "PRINTER"),
    (8, "MASS-STORAGE"),
    (9, "HUB"),
    (10, "CDC-DATA"),
    (11, "SMART-CARD"),
    (13, "CONTENT-SECURITY"),
    (14, "VIDEO"),
    (15, "PERSONAL-HEALTHCARE"),
    (16, "AUDIO/VIDEO"),
    (17, "BILLBOARD"),
    (18, "TYPE-C-BRIDGE"),
    (19, "BULK-DISPLAY"),
    (20, "MCTP"),
    (60, "I3C"),
    (220, "DIAGNOSTIC"),
    (224, "WIRELESS-CONTROLLER"),
    (239, "MISCELLANEOUS"),
    (254, "APPLICATION-SPECIFIC"),
    (255, "VENDOR-SPECIFIC"),
];

/// A USB class code.
///
/// ```
/// use gambeson_policy_model::DeviceClass;
/// assert_eq!(DeviceClass::from_text("mass-storage"), DeviceClass::from_text("0x08"));
/// assert_eq!(DeviceClass::from_text("8").unwrap().to_string(), "MASS-STORAGE");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceClass(pub u8);

impl DeviceClass {
    /// The class that a policy writes as a name (in any case), a decimal or a `0x…` number.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some((code, _)) = CLASSES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
        {
            return Some(Self(*code));
        }
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u8::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.ok().map(Self)
    }
}

impl std::fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match CLASSES.iter().find(|(code, _)| *code == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

/// What a device rule asks of a device. The more fields it gives, the higher it ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceMatch {
    /// The USB class.
    pub class: DeviceClass,
    /// The sub-class within the class.
    pub subclass: Option<i32>,
    /// The protocol within the sub-class.
    pub protocol: Option<i32>,
    /// How many hubs from the host the device is attached, from 1.
    pub level: Option<i32>,
}

impl DeviceMatch {
    /// Whether the device has every property that is given.
    #[must_use]
    pub fn matches(&self, device: &Device) -> bool {
        let given = |want: Option<i32>, have: Option<i32>| want.is_none() || want == have;
        self.class == device.class
            && given(self.subclass, device.subclass)
            && given(self.protocol, device.protocol)
            && given(self.level, device.level)
    }

    /// How many of class, sub-class, protocol and level are given.
    #[must_use]
    pub fn specificity(&self) -> u32 {
        1 + [self.subclass, self.protocol, self.level]
            .into_iter()
            .map(|field| u32::from(field.is_some()))
            .sum::<u32>()
    }
}

/// A USB device as an event carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Device {
    /// The USB class.
    pub class: DeviceClass,
    /// The sub-class, where known.
    pub subclass: Option<i32>,
    /// The protocol, where known.
    pub protocol: Option<i32>,
    /// How many hubs from the host it is attached, where known.
    pub level: Option<i32>,
}
