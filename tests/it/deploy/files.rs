//! The files to deploy with say what the program does.
