//! The stages of the flow, one file each; no IO except through ports.
