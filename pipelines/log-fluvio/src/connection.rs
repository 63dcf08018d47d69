//! Connections to SPUs: every request has a time limit, and a connection that failed once is not used again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use fluvio::dataplane::api::Request;
use fluvio_socket::{AsyncResponse, ClientConfig, MultiplexerSocket, VersionedSerialSocket};
use futures::StreamExt as _;
use telesift_schemas::TopicPartition;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    cluster::{Cluster, Spu},
    error::Failure,
    telemetry,
};

/// Connections shared by readers, per SPU: an SPU serves the requests of one connection one after the other.
const N_LANES: u32 = 4;

/// The connections readers share.
pub(crate) struct Connections {
    cluster: Arc<Cluster>,
    shared: Mutex<HashMap<(i32, u32), Arc<Connection>>>,
}

/// A connection to one SPU.
pub(crate) struct Connection {
    spu: Spu,
    socket: VersionedSerialSocket,
    request_timeout: std::time::Duration,
}

impl Connections {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Connections {
            cluster,
            shared: Mutex::default(),
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A shared connection to the leader of `at`, for short requests.
    pub(crate) async fn shared(&self, at: &TopicPartition) -> Result<Arc<Connection>, Failure> {
        let spu = self.cluster.leader(at).await?;
        let lane = (spu.id, at.partition.0 % N_LANES);
        if let Some(connection) = self.lanes().get(&lane)
            && connection.is_usable(&spu)
        {
            return Ok(connection.clone());
        }
        let connection = Arc::new(self.connect(spu, "reads").await?);
        self.lanes().insert(lane, connection.clone());
        Ok(connection)
    }

    /// A connection to the leader of `at` for the caller alone.
    pub(crate) async fn own(
        &self,
        at: &TopicPartition,
        purpose: &'static str,
    ) -> Result<Connection, Failure> {
        let spu = self.cluster.leader(at).await?;
        self.connect(spu, purpose).await
    }

    async fn connect(&self, spu: Spu, purpose: &'static str) -> Result<Connection, Failure> {
        let config = self.cluster.config();
        let client = ClientConfig::try_from(config.cluster()).map_err(Failure::broken)?;
        let mut client = client.with_prefix_sni_domain(&spu.key);
        client.set_client_id("telesift");
        client.set_addr(spu.address.clone());
        let connected = match timeout(config.request_timeout, client.connect()).await {
            Ok(connected) => connected.map_err(Failure::broken),
            Err(_) => Err(Failure::broken("no connection in time")),
        };
        let versioned = connected.map_err(|e| {
            Failure::broken(format_args!("SPU {} at `{}`: {e}", spu.id, spu.address))
        })?;
        telemetry::connected(purpose);
        let (socket, client, versions) = versioned.split();
        let socket = MultiplexerSocket::shared(socket);
        Ok(Connection {
            spu,
            socket: VersionedSerialSocket::new(socket, client, versions),
            request_timeout: config.request_timeout,
        })
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, HashMap<(i32, u32), Arc<Connection>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn is_usable(&self, spu: &Spu) -> bool {
        self.spu == *spu && !self.socket.is_stale()
    }

    /// Sends `request` and waits for its answer.
    pub(crate) async fn call<R: Request + Send + Sync>(
        &self,
        request: R,
    ) -> Result<R::Response, Failure> {
        match timeout(self.request_timeout, self.socket.send_receive(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(e)) => Err(self.failed(e)),
            Err(_) => Err(self.failed("no answer in time")),
        }
    }

    /// Sends `request`; its answer comes later, in the order of sending.
    pub(crate) async fn send<R: Request + Send + Sync>(
        &self,
        request: R,
    ) -> Result<AsyncResponse<R>, Failure> {
        match timeout(self.request_timeout, self.socket.send_async(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(self.failed(e)),
            Err(_) => Err(self.failed("could not be sent in time")),
        }
    }

    /// Sends a request whose answers go on and on, `queue` of which may wait here.
    pub(crate) async fn stream<R: Request + Send + Sync>(
        &self,
        request: R,
        queue: usize,
    ) -> Result<AsyncResponse<R>, Failure> {
        let version = self.socket.lookup_version::<R>();
        let message = self.socket.new_request(request, version);
        match timeout(
            self.request_timeout,
            self.socket.create_stream(message, queue),
        )
        .await
        {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(e)) => Err(self.failed(e)),
            Err(_) => Err(self.failed("could not be sent in time")),
        }
    }

    /// The answer to a request sent before.
    pub(crate) async fn answer<R: Request>(
        &self,
        answers: &mut AsyncResponse<R>,
        deadline: Instant,
    ) -> Result<R::Response, Failure> {
        match timeout_at(deadline, answers.next()).await {
            Ok(Some(Ok(response))) => Ok(response),
            Ok(Some(Err(e))) => Err(self.failed(e)),
            Ok(None) => Err(self.failed("the connection was closed")),
            Err(_) => Err(self.failed("no answer in time")),
        }
    }

    fn failed(&self, reason: impl std::fmt::Display) -> Failure {
        self.socket.set_stale();
        Failure::broken(format_args!("SPU {}: {reason}", self.spu.id))
    }
}
