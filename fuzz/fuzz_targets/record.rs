#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(finding) = xtask::fuzz::record(bytes) {
        panic!("{finding}");
    }
});
