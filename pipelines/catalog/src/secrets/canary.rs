//! One sealed word in the catalog: whoever opens it has the key that its secrets are sealed with.

use telesift_ports::{Secret, catalog::Result};

use super::{Place, refused};
use crate::SqlCatalog;

const WORD: &str = "telesift";
const PLACE: Place<'_> = Place {
    table: "secret_key",
    row: "1",
    column: "sealed",
};

const SEALED: &str = "SELECT sealed FROM secret_key WHERE one = 1";
const INSERT: &str = "
    INSERT INTO secret_key (one, sealed) VALUES (1, $1)
    ON CONFLICT (one) DO NOTHING";
const DELETE: &str = "DELETE FROM secret_key WHERE one = 1";

impl SqlCatalog {
    /// Whether this process has the key of this catalog; for several that share it. The first one to ask makes its own the
    /// key of all, if nothing is sealed yet.
    ///
    /// # Errors
    /// [`Error::SecretKey`](telesift_ports::catalog::Error::SecretKey) if another key sealed what is there, or there is none
    /// here.
    pub async fn check_secret_key(&self) -> Result<()> {
        loop {
            let rows = self.database.read(SEALED, Vec::new()).await?;
            if let Some(row) = rows.first() {
                let sealed: Vec<u8> = row.get(0)?;
                return match self.sealer.open(&PLACE, &sealed) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(refused(error)),
                };
            }
            // Refused if there are secrets of another key already. Somebody may be faster: his counts.
            let sealed = self.seal(&PLACE, &Secret::new(WORD)).await?;
            self.database
                .write(INSERT, vec![sealed.into()], String::new)
                .await?;
        }
    }

    /// Forgets which key sealed what is there, because it is lost. What it sealed stays closed, and must be removed before
    /// anything else can be sealed.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub async fn forget_secret_key(&self) -> Result<()> {
        self.database.write(DELETE, Vec::new(), String::new).await?;
        Ok(())
    }
}
