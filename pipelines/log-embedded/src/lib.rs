//! RecordLog on local disk: fsynced before the answer.
